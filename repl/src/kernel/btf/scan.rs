//! Finds types by name, in one walk that goes on in several places at once.
//!
//! A record's length is known only when the record is read, so a plain walk waits for memory at each of 120,000
//! records. Here the list is taken a window at a time, the window is cut into parts, and a lane walks each part; the
//! lanes step in turn, so that their waits overlap.
//!
//! Where a part's first record begins is a guess: eight records in a row that make sense. No guess is believed. The
//! first lane begins where the window does, at a record for certain, and so ends at one. A lane counts only if the
//! lane before it counts and ended exactly where it began; what behind it does not count is walked again, as part
//! of the next window. So the numbers are those of a plain walk.
//!
//! Names lie elsewhere, and reading them is a second walk through memory. It waits while the lanes go on: a lane reads the
//! first bytes of each name, and notes the record without a branch, for the next one to overwrite unless it is wanted.

use std::array;

use super::{Btf, KINDS, Kind, Mark, RECORD, STRIDE, TypeId, UNKNOWN, is_name, le};

/// How many places are walked at once. More than four gain nothing.
const LANES: usize = PARTS as usize;
const PARTS: u32 = 4;
/// The bytes of a window. A walk that has found everything ends with its window.
const WINDOW: u32 = 256 << 10;
/// How many records in a row make a guess.
const GUESS: usize = 8;
/// How many steps the lanes take at a time.
const BLOCK: usize = STRIDE as usize;
/// Records that may be noted in a block: a power of two, so that no place is out of bounds.
const NOTES: usize = (LANES * BLOCK).next_power_of_two();
/// [`RECORD`] again.
const HEAD: u16 = 12;

impl<B: AsRef<[u8]>> Btf<B> {
    /// Finds types by kind and name: for each the first there is, in one walk that ends when all are found.
    pub fn find(&self, wanted: &[(Kind, &str)]) -> Vec<Option<TypeId>> {
        let (types, names) = (self.type_bytes(), self.name_bytes());
        let mut found = vec![None; wanted.len()];
        let mut scan = Scan::new(self, Filter::new(wanted));
        while found.contains(&None) && scan.window() {
            for at in &scan.places {
                let Some((name, info)) = head(types, *at) else { continue };
                for ((kind, text), found) in wanted.iter().zip(&mut found) {
                    if *kind as usize == kind_of(info)
                        && found.is_none()
                        && is_name(names, name as usize, text)
                    {
                        *found = Some(TypeId(scan.id_at(*at)));
                    }
                }
            }
        }
        let mut marks = self.marks.borrow_mut();
        if marks.len() < scan.marks.len() {
            *marks = scan.marks;
        }
        found
    }
}

/// How long the records of a kind are.
#[derive(Clone, Copy)]
struct Shape {
    /// The bytes of a record without elements, and of an element; both 0 where nobody tells.
    record: u16,
    each: u16,
}

impl Shape {
    fn new((fixed, each): (u8, u8)) -> Self {
        if fixed == UNKNOWN {
            return Self { record: 0, each: 0 };
        }
        Self { record: HEAD + u16::from(fixed), each: each.into() }
    }

    /// The bytes of a record with `info`; 0 where nobody tells.
    #[inline(always)]
    fn length(self, info: u32) -> u32 {
        u32::from(self.record) + u32::from(self.each) * (info & 0x00ff_ffff)
    }
}

/// What the lanes did in a window.
struct Lanes {
    /// Where each lane began; behind the last, where the window ends.
    starts: [u32; LANES + 1],
    /// Where each lane ended: at the first record behind its part, or at one that makes no sense.
    ends: [u32; LANES],
    /// Of each lane where it was at the start of each block.
    marks: [Vec<u32>; LANES],
}

/// The records of a block that passed the filter.
struct Notes {
    places: [u32; NOTES],
    count: usize,
}

/// A walk, window by window.
struct Scan<'a> {
    types: &'a [u8],
    names: &'a [u8],
    shapes: [Shape; KINDS],
    filter: Filter,
    /// The record that the next window begins with.
    next: Mark,
    /// Types that were passed: of each lane that counts each 64th.
    marks: Vec<Mark>,
    /// The records of the last window that passed the filter, in their order.
    places: Vec<u32>,
}

impl<'a> Scan<'a> {
    fn new<B: AsRef<[u8]>>(btf: &'a Btf<B>, filter: Filter) -> Self {
        let shapes = array::from_fn(|kind| Shape::new(btf.lengths[kind]));
        Self {
            types: btf.type_bytes(),
            names: btf.name_bytes(),
            shapes,
            filter,
            next: Mark { id: 1, at: 0 },
            marks: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Walks over the next window, which leaves its `places`. Says whether there was a record.
    fn window(&mut self) -> bool {
        self.places.clear();
        let first = self.next.at;
        let Some(starts) = self.starts() else { return false };
        let lanes = self.run(starts);
        self.count(&lanes);
        self.next.at > first
    }

    /// Cuts the next window into parts; none behind the last record.
    fn starts(&self) -> Option<[u32; LANES + 1]> {
        let first = self.next.at;
        // `Btf::parse` takes no more than fits.
        let end = u32::try_from(self.types.len()).ok()?.min(first.saturating_add(WINDOW));
        let length = end.checked_sub(first).filter(|length| *length > 0)?;
        let mut starts = [end; LANES + 1];
        starts[0] = first;
        for (lane, share) in (1..LANES).zip(1..) {
            let from = first + length / PARTS / 4 * 4 * share;
            starts[lane] = self.guess(from.max(starts[lane - 1])).min(end);
        }
        Some(starts)
    }

    /// Guesses where a record begins, at `from` or behind it.
    fn guess(&self, from: u32) -> u32 {
        let chain = |mut at| {
            for _ in 0..GUESS {
                let (name, info) = head(self.types, at)?;
                at = self.behind(at, info).filter(|_| (name as usize) < self.names.len())?;
            }
            Some(at)
        };
        let end = u32::try_from(self.types.len()).unwrap_or(u32::MAX);
        (from..end).step_by(4).find_map(chain).unwrap_or(end)
    }

    /// Walks each part with a lane of its own. Leaves the wanted records of all lanes, whether they count or not.
    fn run(&mut self, starts: [u32; LANES + 1]) -> Lanes {
        let Self { types, names, ref shapes, ref filter, .. } = *self;
        let mut at: [u32; LANES] = array::from_fn(|lane| starts[lane]);
        // What a lane reads: a record's beginning is in there if it begins in the lane's part.
        let parts: [&[u8]; LANES] = array::from_fn(|lane| {
            let end = (starts[lane + 1] as usize).saturating_add(RECORD - 1);
            &types[..end.min(types.len())]
        });
        let mut marks: [Vec<u32>; LANES] = Default::default();
        let mut notes = Notes { places: [0; NOTES], count: 0 };
        loop {
            let before = at;
            notes.count = 0;
            for _ in 0..BLOCK {
                // Not a loop: that would keep the lanes' places in memory.
                let [first, second, third, fourth] = at;
                at = [
                    step(parts[0], first, names, shapes, filter, &mut notes),
                    step(parts[1], second, names, shapes, filter, &mut notes),
                    step(parts[2], third, names, shapes, filter, &mut notes),
                    step(parts[3], fourth, names, shapes, filter, &mut notes),
                ];
            }
            self.places.extend_from_slice(&notes.places[..notes.count.min(NOTES)]);
            for (lane, marks) in marks.iter_mut().enumerate() {
                if at[lane] > before[lane] {
                    marks.push(before[lane]);
                }
            }
            if at == before {
                return Lanes { starts, ends: at, marks };
            }
        }
    }

    /// Numbers the records of the lanes that count, and forgets what the others left.
    fn count(&mut self, lanes: &Lanes) {
        let mut proven = 0;
        for lane in 0..LANES {
            let ids = (self.next.id..).step_by(BLOCK);
            self.marks
                .extend(lanes.marks[lane].iter().zip(ids).map(|(at, id)| Mark { id, at: *at }));
            self.next = Mark { id: self.id_at(lanes.ends[lane]), at: lanes.ends[lane] };
            proven = lanes.starts[lane + 1];
            if lanes.ends[lane] != proven {
                break;
            }
        }
        self.places.retain(|place| *place < proven);
        self.places.sort_unstable();
    }

    /// The number of the record that begins at `place`, or of the next one, counted from the last mark.
    fn id_at(&self, place: u32) -> u32 {
        let last = self.marks.partition_point(|mark| mark.at <= place).checked_sub(1);
        let Mark { mut id, mut at } = last.map_or(Mark { id: 1, at: 0 }, |last| self.marks[last]);
        while at < place
            && let Some((_, info)) = head(self.types, at)
            && let Some(behind) = self.behind(at, info)
        {
            at = behind;
            id += 1;
        }
        id
    }

    /// Where the record behind one with `info` begins that begins at `at`.
    #[inline]
    fn behind(&self, at: u32, info: u32) -> Option<u32> {
        let length = self.shapes[kind_of(info)].length(info);
        (length != 0).then_some(at.saturating_add(length))
    }
}

/// Takes a lane over the record at `place`, which is noted without a branch for the next one to overwrite. Gives where the
/// next record begins.
#[inline(always)]
fn step(
    part: &[u8],
    place: u32,
    names: &[u8],
    shapes: &[Shape; KINDS],
    filter: &Filter,
    notes: &mut Notes,
) -> u32 {
    let Some((name, info)) = head(part, place) else { return place };
    let kind = kind_of(info);
    notes.places[notes.count % NOTES] = place;
    notes.count += usize::from(filter.passes(kind, names, name as usize));
    // A record's length always fits; this sum need not.
    place.saturating_add(shapes[kind].length(info))
}

/// The name and the `info` of the record at `at`.
#[inline(always)]
fn head(types: &[u8], at: u32) -> Option<(u32, u32)> {
    let head = types.get(at as usize..)?.first_chunk::<RECORD>()?;
    Some((le(&head[0..4]), le(&head[4..8])))
}

#[inline(always)]
fn kind_of(info: u32) -> usize {
    (info >> 24) as usize % KINDS
}

/// Tells quickly that a record is not wanted: by its kind and a hash of its name's first bytes.
///
/// Of 50,000 functions some ten pass.
struct Filter {
    /// For each kind which of the first eight bytes count; none where no type of this kind is wanted.
    masks: [u64; KINDS],
    /// The set of the hashes of what counts.
    hashes: [u64; 64],
}

impl Filter {
    fn new(wanted: &[(Kind, &str)]) -> Self {
        let mut masks = [0; KINDS];
        for (kind, text) in wanted {
            // The NUL that ends a name counts too; what follows it is another name.
            let bits = (text.len() + 1).min(8) * 8;
            let mask = u64::MAX >> (64 - bits);
            let known = &mut masks[*kind as usize];
            *known = if *known == 0 { mask } else { *known & mask };
        }
        let mut hashes = [0; 64];
        for (kind, text) in wanted {
            let mut start = [0; 8];
            for (to, from) in start.iter_mut().zip(text.bytes()) {
                *to = from;
            }
            let hash = Self::hash(u64::from_le_bytes(start) & masks[*kind as usize]);
            hashes[hash / 64] |= 1 << (hash % 64);
        }
        Self { masks, hashes }
    }

    /// A number below 4096.
    #[inline(always)]
    fn hash(start: u64) -> usize {
        (start.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize
    }

    /// Whether a type of this `kind`, whose name is at `at`, may be wanted.
    #[inline(always)]
    fn passes(&self, kind: usize, names: &[u8], at: usize) -> bool {
        let Some(start) = names.get(at..).and_then(|name| name.first_chunk()) else {
            return at < names.len();
        };
        let hash = Self::hash(u64::from_le_bytes(*start) & self.masks[kind]);
        self.hashes[hash / 64] >> (hash % 64) & 1 == 1
    }
}
