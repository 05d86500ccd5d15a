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
//! Names lie elsewhere, and reading them is a second walk through memory. A lane notes the records of wanted kinds
//! without a branch, and their names are looked at a block of steps later.

use std::array;

use super::{Btf, KINDS, Kind, Mark, RECORD, STRIDE, TypeId, UNKNOWN, le};

/// How many places are walked at once. More than six gain nothing.
const LANES: usize = PARTS as usize;
const PARTS: u32 = 6;
/// The bytes of a window. A walk that has found everything ends with its window.
const WINDOW: u32 = 256 << 10;
/// How many records in a row make a guess.
const GUESS: usize = 8;
/// [`RECORD`] again.
const HEAD: u16 = 12;
/// How many steps the lanes take between two looks at names.
const BLOCK: usize = STRIDE as usize;

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

/// What a kind means to a walk.
#[derive(Clone, Copy)]
struct Shape {
    /// The bytes of a record without elements, and of an element; 0 where nobody tells.
    record: u16,
    each: u8,
    /// Whether a type of this kind is looked for.
    wanted: bool,
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
        let shapes = array::from_fn(|kind| {
            let (fixed, each) = btf.lengths[kind];
            let record = if fixed == UNKNOWN { 0 } else { HEAD + u16::from(fixed) };
            Shape { record, each, wanted: filter.wants(kind) }
        });
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
        let Self { types, names, .. } = *self;
        let mut at: [u32; LANES] = array::from_fn(|lane| starts[lane]);
        let mut stops: [u32; LANES] = array::from_fn(|lane| starts[lane + 1]);
        let mut marks: [Vec<u32>; LANES] = Default::default();
        let mut wanted = [0; LANES * BLOCK];
        while (0..LANES).any(|lane| at[lane] < stops[lane]) {
            for lane in 0..LANES {
                if at[lane] < stops[lane] {
                    marks[lane].push(at[lane]);
                }
            }
            let mut count = 0;
            for _ in 0..BLOCK {
                for lane in 0..LANES {
                    let place = at[lane];
                    if place >= stops[lane] {
                        continue;
                    }
                    let record = head(types, place).map(|(_, info)| info);
                    let Some((info, behind)) =
                        record.and_then(|info| Some((info, self.behind(place, info)?)))
                    else {
                        stops[lane] = 0;
                        continue;
                    };
                    at[lane] = behind;
                    if let Some(slot) = wanted.get_mut(count) {
                        *slot = place;
                    }
                    count += usize::from(self.shapes[kind_of(info)].wanted);
                }
            }
            self.places.extend(wanted[..count].iter().filter(|place| {
                head(types, **place).is_some_and(|(name, info)| {
                    self.filter.passes(kind_of(info), names, name as usize)
                })
            }));
        }
        Lanes { starts, ends: at, marks }
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
        let Shape { record, each, .. } = self.shapes[kind_of(info)];
        let length = u32::from(record) + u32::from(each) * (info & 0x00ff_ffff);
        // A record's length always fits; this sum need not.
        (record != 0).then_some(at.saturating_add(length))
    }
}

/// The name and the `info` of the record at `at`.
#[inline]
fn head(types: &[u8], at: u32) -> Option<(u32, u32)> {
    let head = types.get(at as usize..)?.first_chunk::<RECORD>()?;
    Some((le(&head[0..4]), le(&head[4..8])))
}

#[inline]
fn kind_of(info: u32) -> usize {
    (info >> 24) as usize % KINDS
}

/// Tells quickly that a record is not wanted: by its kind and a hash of its name's first bytes.
///
/// Of 50,000 functions some ten pass, so the names, a second walk through memory, are all but left alone.
struct Filter {
    /// For each kind which of the first eight bytes count, and the set of their hashes.
    kinds: [(u64, [u64; 4]); KINDS],
}

impl Filter {
    fn new(wanted: &[(Kind, &str)]) -> Self {
        let mut kinds = [(0, [0; 4]); KINDS];
        for (kind, text) in wanted {
            // The NUL that ends a name counts too; what follows it is another name.
            let bits = (text.len() + 1).min(8) * 8;
            let mask = u64::MAX >> (64 - bits);
            let known = &mut kinds[*kind as usize].0;
            *known = if *known == 0 { mask } else { *known & mask };
        }
        for (kind, text) in wanted {
            let mut start = [0; 8];
            for (to, from) in start.iter_mut().zip(text.bytes()) {
                *to = from;
            }
            let (mask, set) = &mut kinds[*kind as usize];
            let hash = Self::hash(u64::from_le_bytes(start) & *mask);
            set[hash / 64] |= 1 << (hash % 64);
        }
        Self { kinds }
    }

    fn wants(&self, kind: usize) -> bool {
        self.kinds[kind].0 != 0
    }

    fn hash(start: u64) -> usize {
        (start.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize
    }

    #[inline]
    fn passes(&self, kind: usize, names: &[u8], at: usize) -> bool {
        let (mask, set) = &self.kinds[kind];
        if *mask == 0 {
            return false;
        }
        let Some(start) = names.get(at..at + 8) else { return at < names.len() };
        let mut bytes = [0; 8];
        bytes.copy_from_slice(start);
        let hash = Self::hash(u64::from_le_bytes(bytes) & mask);
        set[hash / 64] >> (hash % 64) & 1 == 1
    }
}

/// Whether the name at `at` is `text`.
fn is_name(names: &[u8], at: usize, text: &str) -> bool {
    names
        .get(at..)
        .is_some_and(|name| name.starts_with(text.as_bytes()) && name.get(text.len()) == Some(&0))
}
