//! Functions that ask for more than their arguments: the source of the rows, the tick before, other columns.

use super::{Function, Meaning, Nulls};
use crate::bind::typing::{of_type, text};
use crate::catalog::Lookup;
use crate::delta::Change;
use crate::syntax::ast::Literal;
use crate::value::{Type, Value};

pub(super) static ROWS: &[Function] = &[
    Function::values(
        "alias_of('name')",
        (1, 1),
        "Whether the cache has this name, either its own or that of a cache merged into it.",
        |name, arguments| {
            text(&mut arguments[0], name)?;
            Ok(of_type(Type::Bool))
        },
        |arguments, _, _| match &arguments[..] {
            [Value::Text(wanted), Value::Text(name), _] if wanted == name => Value::Bool(true),
            [Value::Text(wanted), name, Value::List(aliases)] => {
                match (aliases.contains(wanted), name) {
                    (true, _) => Value::Bool(true),
                    (false, Value::Null) => Value::Null,
                    (false, _) => Value::Bool(false),
                }
            }
            _ => Value::Null,
        },
    )
    .nulls(Nulls::First)
    .implied(&["name", "aliases"]),
    Function::new(
        "comm(task)",
        (1, 1),
        "The name of the program of the `struct task_struct` at this address: `comm(o->real_parent)` in `objects('task_struct')`.",
        Meaning::LookedUp(Lookup::Comm),
    ),
    Function::new(
        "delta(x)",
        (1, 1),
        "In a watch: the change since the previous tick; NULL in the first tick and for rows that the previous tick did not have.",
        Meaning::Delta(Change::Tick),
    ),
    Function::new(
        "first(x)",
        (1, 1),
        "In a watch: x as it was in the first tick that had the row.",
        Meaning::Delta(Change::First),
    ),
    Function::new(
        "last(x)",
        (1, 1),
        "In a watch: x as it is in the latest tick, beside `first(x)`.",
        Meaning::Delta(Change::Last),
    ),
    Function::new(
        "page_size()",
        (0, 0),
        "The kernel's page size in bytes.",
        Meaning::Constant(|source| Literal::Int(source.page_size())),
    ),
    Function::new(
        "path(dentry)",
        (1, 1),
        "The path, in its file system, of the directory entry at this address: `path(addr)` in `objects('dentry')`, `path(o->f_path.dentry)` in `objects('filp')`. NULL for pipes and sockets, which have none.",
        Meaning::LookedUp(Lookup::Path),
    ),
    Function::new(
        "rate(x)",
        (1, 1),
        "In a watch: `delta(x)` per second.",
        Meaning::Delta(Change::Second),
    ),
    Function::new(
        "share(x)",
        (1, 1),
        "x as a percentage of the sum of x over all rows of the answer: `pct(x, sum(x) over ())`.",
        Meaning::Share,
    ),
    Function::new(
        "sparkline(x)",
        (1, 1),
        "In a watch: x in the last 40 ticks, drawn in formats for people, a list of numbers in formats for programs.",
        Meaning::Delta(Change::Ticks),
    ),
    Function::new(
        "sock_local(sock)",
        (1, 1),
        "The local address and port, or path, of the socket whose `struct sock` is at this address: `sock_local(addr)` in `objects('TCP')`, `sock_local(o->socket.sk)` in `objects('sock_inode_cache')`.",
        Meaning::LookedUp(Lookup::Local),
    ),
    Function::new(
        "sock_remote(sock)",
        (1, 1),
        "The address and port that the socket is connected to; NULL if it is connected to none.",
        Meaning::LookedUp(Lookup::Remote),
    ),
    Function::new(
        "source()",
        (0, 0),
        "Where the rows come from: `live`, `walk`, `proc`, `recording` or `demo`.",
        Meaning::Constant(|source| Literal::Text(source.source().to_owned())),
    ),
    Function::new(
        "superblock(sb)",
        (1, 1),
        "The file system whose `struct super_block` is at this address, by its type, its name and the number of its device, as in `ext4 vda 254:0`: `superblock(o->d_sb)` in `objects('dentry')`, `superblock(o->i_sb)` of an inode.",
        Meaning::LookedUp(Lookup::Superblock),
    ),
    Function::new(
        "symbol(address)",
        (1, 1),
        "The kernel's symbol at exactly this address, such as a function that a member points to.",
        Meaning::LookedUp(Lookup::Symbol),
    ),
];
