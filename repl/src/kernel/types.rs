//! Which struct the objects of a cache are.
//!
//! Nothing in the kernel tells: a cache knows the size of its objects, and whoever made it what they are. But most names
//! speak. A cache is believed to be of the struct of its name, or of one whose name has `_cache` or `_info` less or more,
//! if the size fits; a few others are in a table. Several caches may have been merged into one, whose objects are
//! then of a single type only if all names say so.

use std::collections::HashMap;

use query::schema::{Schema, Shape, TypeId};

/// The structs of the kernel by their names, of each name the first.
pub type Structs = HashMap<String, TypeId>;

/// The types of a kernel.
#[derive(Clone, Copy)]
pub struct Types<'a> {
    /// What each is.
    pub schema: &'a dyn Schema,
    /// Those that are structs.
    pub structs: &'a Structs,
}

impl Types<'_> {
    /// The bytes of the struct of this name: without an array at its end, of which objects may have less, and with it.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<(u64, u64)> {
        let id = *self.structs.get(name)?;
        let all = self.schema.size_of(id)?;
        let Some(Shape::Struct { fields, .. }) = self.schema.shape(id) else { return None };
        let is_array =
            |id| matches!(self.schema.shape(id), Some(Shape::Array { length, .. }) if length != 1);
        let last = fields.last().filter(|field| is_array(field.ty));
        Some((last.map_or(all, |last| last.at / 8), all))
    }
}

/// Caches whose names do not say what their objects are.
const KNOWN: [(&str, &str); 54] = [
    ("AF_VSOCK", "vsock_sock"),
    ("MPTCP", "mptcp_sock"),
    ("MPTCPv6", "mptcp6_sock"),
    ("NETLINK", "netlink_sock"),
    ("PACKET", "packet_sock"),
    ("PING", "inet_sock"),
    ("PINGv6", "raw6_sock"),
    ("RAW", "raw_sock"),
    ("RAWv6", "raw6_sock"),
    ("TCP", "tcp_sock"),
    ("TCPv6", "tcp6_sock"),
    ("UDP", "udp_sock"),
    ("UDP-Lite", "udp_sock"),
    ("UDPLITEv6", "udp6_sock"),
    ("UDPv6", "udp6_sock"),
    ("UNIX", "unix_sock"),
    ("UNIX-STREAM", "unix_sock"),
    ("bdev_cache", "bdev_inode"),
    ("bfilp", "backing_file"),
    ("blkdev_ioc", "io_context"),
    ("dax_cache", "dax_device"),
    ("debugfs_inode_cache", "debugfs_inode_info"),
    ("ep_head", "epitems_head"),
    ("eventpoll_epi", "epitem"),
    ("eventpoll_pwq", "eppoll_entry"),
    ("files_cache", "files_struct"),
    ("filp", "file"),
    ("fs_cache", "fs_struct"),
    ("ip6_dst_cache", "rt6_info"),
    ("ip_fib_alias", "fib_alias"),
    ("jbd2_journal_head", "journal_head"),
    ("jbd2_transaction_s", "transaction_s"),
    ("key_jar", "key"),
    ("mnt_cache", "mount"),
    ("net_namespace", "net"),
    ("nf_conntrack", "nf_conn"),
    ("numa_policy", "mempolicy"),
    ("posix_timers_cache", "k_itimer"),
    ("radix_tree_node", "xa_node"),
    ("request_sock_TCP", "tcp_request_sock"),
    ("request_sock_TCPv6", "tcp6_request_sock"),
    ("rpc_inode_cache", "rpc_inode"),
    ("shared_policy_node", "sp_node"),
    ("sighand_cache", "sighand_struct"),
    ("signal_cache", "signal_struct"),
    ("skbuff_ext_cache", "skb_ext"),
    ("skbuff_fclone_cache", "sk_buff_fclones"),
    ("skbuff_head_cache", "sk_buff"),
    ("sock_inode_cache", "socket_alloc"),
    ("tw_sock_TCP", "tcp_timewait_sock"),
    ("tw_sock_TCPv6", "tcp_timewait_sock"),
    ("uid_cache", "user_struct"),
    ("userfaultfd_ctx_cache", "userfaultfd_ctx"),
    ("x86_emulator", "x86_emulate_ctxt"),
];

/// The struct that a cache of this name and object size is of, if that can be told.
#[must_use]
pub fn told_by(types: Types<'_>, name: &str, object_size: u64) -> Option<String> {
    of_name(name, object_size, &|name| types.bytes(name))
}

/// The struct that a cache of this name and object size is of, if that can be told. `bytes` gives the size of a struct, if
/// there is one of the name: the least that an object of it has, and all.
fn of_name(
    name: &str,
    object_size: u64,
    bytes: &dyn Fn(&str) -> Option<(u64, u64)>,
) -> Option<String> {
    // Bits of the CPU, states of its registers and the like come behind some.
    let room = |structure: &str| bytes(structure).is_some_and(|(least, _)| least <= object_size);
    let exact = |structure: &str| {
        bytes(structure)
            .is_some_and(|(_, all)| all.next_multiple_of(8) == object_size.next_multiple_of(8))
    };
    let known = KNOWN.iter().find(|(cache, _)| *cache == name).map(|(_, structure)| *structure);
    if let Some(structure) = known.filter(|structure| room(structure)) {
        return Some(structure.to_owned());
    }
    let bare = name.strip_suffix("_cache").or_else(|| name.strip_suffix("_info")).unwrap_or(name);
    let others = [
        name.to_owned(),
        bare.to_owned(),
        format!("{bare}_info"),
        format!("{name}_info"),
        format!("{name}_cache"),
    ];
    let found = others.iter().find(|structure| exact(structure));
    found.cloned().or_else(|| room(name).then(|| name.to_owned()))
}

/// The struct that the objects of a cache with these names are of: one that all of them say.
#[must_use]
pub fn of(types: Types<'_>, names: &[String], object_size: u64) -> Option<String> {
    let bytes = |name: &str| types.bytes(name);
    let mut found = names.iter().map(|name| of_name(name, object_size, &bytes));
    let first = found.next()??;
    found.all(|other| other.as_ref() == Some(&first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_by_rules_and_sizes() {
        let structs = [
            ("dentry", 192, 192),
            ("ext4_inode", 160, 160),
            ("ext4_inode_info", 1120, 1120),
            ("proc_inode", 688, 688),
            ("file", 184, 184),
            ("task_struct", 5000, 5000),
            ("kmem_cache", 224, 8416),
            ("large", 300, 300),
            ("odd", 61, 61),
        ];
        let bytes = |name: &str| {
            structs.iter().find(|(known, ..)| *known == name).map(|(_, least, all)| (*least, *all))
        };
        let of = |name, size| of_name(name, size, &bytes);
        for (cache, size, expected) in [
            ("dentry", 192, Some("dentry")),
            // The one on disk has the name, and the other one the size.
            ("ext4_inode_cache", 1120, Some("ext4_inode_info")),
            ("proc_inode_cache", 688, Some("proc_inode")),
            ("filp", 184, Some("file")),
            // What the processor needs stands behind it.
            ("task_struct", 5888, Some("task_struct")),
            // Of the array at its end only what is used is there.
            ("kmem_cache", 232, Some("kmem_cache")),
            ("odd", 64, Some("odd")),
            ("large", 256, None),
            ("proc_inode_cache", 700, None),
            ("filp", 100, None),
            ("kmalloc-64", 64, None),
        ] {
            assert_eq!(of(cache, size).as_deref(), expected, "{cache}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_has_each_cache_once() {
        assert!(KNOWN.is_sorted_by(|left, right| left.0 < right.0));
    }
}
