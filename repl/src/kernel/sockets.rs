//! Addresses of sockets: what `struct sock` says of both ends.
//!
//! ```text
//!   AF_INET    127.0.0.1:80       AF_INET6  [::1]:80
//!   AF_UNIX    /run/socket        @abstract
//! ```
//!
//! Ends without an address have none, and so do other families.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::lookup::Words;
use super::read::ReadError;

const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
/// The type of a socket whose number is a protocol's, and no port.
const SOCK_RAW: u64 = 3;
/// The bytes of a `struct sockaddr_un` at most.
const UNIX_MAX: u64 = 110;
/// The bytes in it before the path.
const UNIX_FAMILY: usize = 2;

/// Which end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// This one.
    Local,
    /// The other one.
    Remote,
}

/// The addresses of an end of each `struct sock`.
pub fn addresses(
    memory: &dyn Words,
    socks: &[u64],
    end: End,
) -> Result<Vec<Option<Vec<u8>>>, ReadError> {
    let member = |path: &str, bytes: u32| {
        let lacking = ReadError::Malformed("`struct sock` lacks a member");
        let offset = memory.offset("sock", path).ok_or(lacking)?;
        let words = memory.words_behind(socks, offset)?;
        Ok::<_, ReadError>(
            words.into_iter().map(move |word| word << (64 - 8 * bytes) >> (64 - 8 * bytes)),
        )
    };
    let common = |name: &str, bytes| member(&format!("__sk_common.{name}"), bytes);
    let families: Vec<u64> = common("skc_family", 2)?.collect();
    let kinds: Vec<u64> = member("sk_type", 2)?.collect();
    let [port, v4] = match end {
        End::Local => ["skc_num", "skc_rcv_saddr"],
        End::Remote => ["skc_dport", "skc_daddr"],
    };
    let ports: Vec<u64> = common(port, 2)?.collect();
    let v4: Vec<u64> = common(v4, 4)?.collect();
    let v6 = |half: &str| -> Result<Vec<u64>, ReadError> {
        let name = if end == End::Local { "skc_v6_rcv_saddr" } else { "skc_v6_daddr" };
        // Kernels without IPv6 have no such member, and no such socket.
        Ok(common(&format!("{name}.in6_u.u6_addr8[{half}]"), 8)
            .map(Iterator::collect)
            .unwrap_or_default())
    };
    let (high, low) = (v6("0")?, v6("8")?);
    let unix = of_unix(memory, socks, &families, end)?;
    let address = |at: usize| {
        let ip = match families[at] {
            AF_UNIX => return unix[at].clone(),
            AF_INET => {
                let [a, b, c, d, ..] = v4[at].to_le_bytes();
                Ipv4Addr::new(a, b, c, d).into()
            }
            AF_INET6 => {
                let [high, low] = [&high, &low].map(|half| half.get(at).map(|it| it.to_le_bytes()));
                let bytes: Vec<u8> = [high?, low?].concat();
                Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()
            }
            _ => return None,
        };
        let [first, second, ..] = ports[at].to_le_bytes();
        let port = match end {
            _ if kinds[at] == SOCK_RAW => 0,
            End::Local => u16::from_le_bytes([first, second]),
            End::Remote => u16::from_be_bytes([first, second]),
        };
        let address = SocketAddr::new(ip, port);
        match (address.ip().is_unspecified(), port) {
            (true, 0) => None,
            (false, 0) => Some(address.ip().to_string().into_bytes()),
            _ => Some(address.to_string().into_bytes()),
        }
    };
    Ok((0..socks.len()).map(address).collect())
}

/// The paths of those that are Unix sockets: of the other end, the path of its socket.
fn of_unix(
    memory: &dyn Words,
    socks: &[u64],
    families: &[u64],
    end: End,
) -> Result<Vec<Option<Vec<u8>>>, ReadError> {
    let mut found = vec![None; socks.len()];
    let members = [
        ("unix_sock", "addr"),
        ("unix_sock", "peer"),
        ("unix_address", "len"),
        ("unix_address", "name"),
    ];
    let members = members.map(|(owner, path)| memory.offset(owner, path));
    // They may be a module's, whose types are elsewhere.
    let [Some(addr), Some(peer), Some(len), Some(name)] = members else {
        return Ok(found);
    };
    let mut open: Vec<(usize, u64)> =
        (0..socks.len()).filter(|at| families[*at] == AF_UNIX).map(|at| (at, socks[at])).collect();
    let follow = |open: &mut Vec<(usize, u64)>, offset: u64| -> Result<(), ReadError> {
        let from: Vec<u64> = open.iter().map(|(_, from)| *from).collect();
        for ((_, from), word) in open.iter_mut().zip(memory.words_behind(&from, offset)?) {
            *from = word;
        }
        open.retain(|(_, from)| *from != 0);
        Ok(())
    };
    if end == End::Remote {
        follow(&mut open, peer)?;
    }
    follow(&mut open, addr)?;
    let from: Vec<u64> = open.iter().map(|(_, from)| *from).collect();
    let lengths = memory.words_behind(&from, len)?;
    for ((at, from), length) in open.into_iter().zip(lengths) {
        let length = (length & 0xffff_ffff).min(UNIX_MAX);
        let words: Vec<u64> = (0..length.div_ceil(8)).map(|word| from + name + 8 * word).collect();
        let bytes: Vec<u8> = memory.words(&words)?.into_iter().flat_map(u64::to_le_bytes).collect();
        let path = bytes.get(UNIX_FAMILY..usize::try_from(length).unwrap_or(0)).unwrap_or_default();
        found[at] = match path {
            [] => None,
            [0, abstract_name @ ..] => Some([b"@", abstract_name].concat()),
            path => Some(path.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()),
        };
    }
    Ok(found)
}
