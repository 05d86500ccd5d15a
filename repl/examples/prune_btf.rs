//! Makes a fixture of a kernel's BTF: the types that slabql asks for, and what lies in them by value.
//!
//! ```sh
//! cargo run -p slabql --example prune_btf /sys/kernel/btf/vmlinux    # hexadecimal, on standard output
//! ```
//!
//! `repl/tests/btf/update` runs it on every kernel of the matrix. Of structs that are only pointed to the name is left,
//! of functions that they are there: 120,000 types become some hundred. It reads BTF in its own simple way, so that
//! what reads the fixtures is not held against itself.
#![allow(clippy::unwrap_used)] // whatever fails here makes no fixture

use std::collections::BTreeMap;
use std::{env, fs};

use slabql::kernel::btf::Kind;
use slabql::kernel::schema::WANTED;

/// Structs behind pointers of those that slabql asks for; paths of queries lead through them.
const BEHIND: [&str; 4] = ["kmem_cache_args", "kobject", "kset", "memcg_cache_params"];

const INT: u32 = Kind::Int as u32;
const PTR: u32 = Kind::Ptr as u32;
const ARRAY: u32 = Kind::Array as u32;
const STRUCT: u32 = Kind::Struct as u32;
const UNION: u32 = Kind::Union as u32;
const ENUM: u32 = Kind::Enum as u32;
const FWD: u32 = Kind::Fwd as u32;
const FUNC: u32 = Kind::Func as u32;
const PROTO: u32 = Kind::FuncProto as u32;
const ENUM64: u32 = Kind::Enum64 as u32;
/// By kind: the words that a record has besides the three of every one, and those of each element.
const WORDS: [(usize, usize); 20] = [
    (0, 0),
    (1, 0),
    (0, 0),
    (3, 0),
    (0, 3),
    (0, 3),
    (0, 2),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 2),
    (1, 0),
    (0, 3),
    (0, 0),
    (1, 0),
    (0, 0),
    (0, 3),
];

/// A record: the words of it, and its names as texts.
#[derive(Clone)]
struct Type {
    name: String,
    info: u32,
    word: u32,
    rest: Vec<u32>,
    /// Of members and enumerators.
    names: Vec<String>,
}

impl Type {
    fn kind(&self) -> u32 {
        self.info >> 24 & 0x7f
    }
}

fn main() {
    let path = env::args().nth(1).expect("prune_btf FILE");
    let types = read(&fs::read(path).unwrap());
    let pruned = Pruned::of(&types);
    let hex: String = write(&pruned.kept).iter().map(|byte| format!("{byte:02X}")).collect();
    for line in hex.as_bytes().chunks(100) {
        println!("{}", str::from_utf8(line).unwrap());
    }
}

/// Reads all types; the first is `void`.
fn read(bytes: &[u8]) -> Vec<Type> {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(word(0) & 0xff_ffff, 0x1_eb9f, "no BTF");
    let [header, from, length, names] =
        [word(4), word(8), word(12), word(16)].map(|word| word as usize);
    let text = |offset: u32| {
        let text = &bytes[header + names + offset as usize..];
        let end = text.iter().position(|byte| *byte == 0).unwrap();
        str::from_utf8(&text[..end]).unwrap().to_owned()
    };
    let void = Type { name: String::new(), info: 0, word: 0, rest: Vec::new(), names: Vec::new() };
    let mut types = vec![void];
    let (mut at, end) = (header + from, header + from + length);
    while at < end {
        let info = word(at + 4);
        let (fixed, each) = WORDS[(info >> 24 & 0x7f) as usize];
        let words = fixed + each * (info & 0xff_ffff) as usize;
        let rest: Vec<u32> = (0..words).map(|index| word(at + 12 + 4 * index)).collect();
        let names =
            if each == 0 { Vec::new() } else { rest.chunks(each).map(|c| text(c[0])).collect() };
        types.push(Type { name: text(word(at)), info, word: word(at + 8), rest, names });
        at += 12 + 4 * words;
    }
    types
}

/// What is kept.
struct Pruned<'a> {
    all: &'a [Type],
    kept: Vec<Type>,
    /// The new numbers, by the old one and whether only the name is kept.
    numbers: BTreeMap<(u32, bool), u32>,
}

impl<'a> Pruned<'a> {
    fn of(all: &'a [Type]) -> Self {
        let mut pruned = Self { all, kept: vec![all[0].clone()], numbers: BTreeMap::new() };
        for (id, found) in (0_u32..).zip(all).skip(1) {
            let is = |kind: Kind| {
                let kinds = if kind == Kind::Enum { [ENUM, ENUM64] } else { [kind as u32; 2] };
                kinds.contains(&found.kind())
            };
            let asked = WANTED.iter().any(|(kind, name)| is(*kind) && found.name == *name);
            let gfp =
                is(Kind::Enum) && found.names.iter().any(|name| name.starts_with("___GFP_DMA_"));
            if asked || gfp {
                pruned.keep(id);
            }
        }
        pruned
    }

    /// Keeps a type and what lies in it, and gives its number.
    fn keep(&mut self, id: u32) -> u32 {
        if id == 0 {
            return 0;
        }
        if let Some(number) = self.numbers.get(&(id, false)) {
            return *number;
        }
        let number = u32::try_from(self.kept.len()).unwrap();
        self.numbers.insert((id, false), number);
        let mut new = self.all[id as usize].clone();
        self.kept.push(new.clone());
        match new.kind() {
            STRUCT | UNION => {
                for member in new.rest.chunks_mut(3) {
                    member[1] = self.keep(member[1]);
                }
            }
            ARRAY => {
                new.rest[0] = self.keep(new.rest[0]);
                new.rest[1] = self.keep(new.rest[1]);
            }
            PTR => new.word = self.point(new.word),
            // What a function takes is asked by nobody.
            PROTO => (new.info, new.word, new.rest) = (PROTO << 24, 0, Vec::new()),
            INT | ENUM | ENUM64 | FWD => {}
            _ => new.word = self.keep(new.word),
        }
        self.kept[number as usize] = new;
        number
    }

    /// Keeps what a pointer leads to: of most structs the name.
    fn point(&mut self, id: u32) -> u32 {
        let to = &self.all[id as usize];
        let named = |name: &&str| **name == *to.name;
        let asked = WANTED.iter().map(|(_, name)| name).chain(&BEHIND).any(named);
        if !matches!(to.kind(), STRUCT | UNION) || asked {
            return match to.kind() {
                // Behind a name there may be such a struct again.
                PTR | ARRAY | INT | ENUM | ENUM64 | FWD | FUNC | PROTO | STRUCT | UNION => {
                    self.keep(id)
                }
                _ if id == 0 => 0,
                _ => self.point_through(id),
            };
        }
        let next = u32::try_from(self.kept.len()).unwrap();
        let number = *self.numbers.entry((id, true)).or_insert(next);
        if number == next {
            let info = FWD << 24 | u32::from(to.kind() == UNION) << 31;
            let (word, rest, texts) = (0, Vec::new(), Vec::new());
            self.kept.push(Type { name: to.name.clone(), info, word, rest, names: texts });
        }
        number
    }

    /// Keeps a typedef or qualifier that a pointer leads to.
    fn point_through(&mut self, id: u32) -> u32 {
        let next = u32::try_from(self.kept.len()).unwrap();
        let number = *self.numbers.entry((id, true)).or_insert(next);
        if number == next {
            let new = self.all[id as usize].clone();
            self.kept.push(new.clone());
            let word = self.point(new.word);
            self.kept[number as usize].word = word;
        }
        number
    }
}

/// Writes BTF.
fn write(types: &[Type]) -> Vec<u8> {
    let (mut records, mut names, mut places) = (Vec::new(), vec![0], BTreeMap::new());
    let mut place = |name: &str| {
        if name.is_empty() {
            return 0;
        }
        *places.entry(name.to_owned()).or_insert_with(|| {
            let at = u32::try_from(names.len()).unwrap();
            names.extend_from_slice(name.as_bytes());
            names.push(0);
            at
        })
    };
    for found in &types[1..] {
        let mut rest = found.rest.clone();
        let each = WORDS[found.kind() as usize].1;
        if each > 0 {
            for (element, name) in rest.chunks_mut(each).zip(&found.names) {
                element[0] = place(name);
            }
        }
        records.extend([place(&found.name), found.info, found.word]);
        records.extend(rest);
    }
    let [types, texts] =
        [4 * records.len(), names.len()].map(|bytes| u32::try_from(bytes).unwrap());
    let header = [0x1_eb9f, 24, 0, types, types, texts];
    let words = header.into_iter().chain(records);
    words.flat_map(u32::to_le_bytes).chain(names).collect()
}
