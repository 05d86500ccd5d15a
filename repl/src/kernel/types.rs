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

/// How large a struct is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The fewest bytes that an object of it has: those before an array at its end, or at the end of its last member.
    pub least: u64,
    /// All of its bytes.
    pub all: u64,
    /// Whether it ends in an array itself, of which objects may have less, or more.
    pub is_open: bool,
}

impl Types<'_> {
    /// How large the struct of this name is.
    #[must_use]
    pub fn extent(&self, name: &str) -> Option<Extent> {
        let id = *self.structs.get(name)?;
        let all = self.schema.size_of(id)?;
        let Some(Shape::Struct { fields, .. }) = self.schema.shape(id) else { return None };
        let is_open = fields.last().is_some_and(|last| self.is_array(last.ty));
        Some(Extent { least: self.least(id, DEEPEST), all, is_open })
    }

    /// The bytes of a type before an array at its end, or at the end of its last member.
    fn least(&self, id: TypeId, deepest: usize) -> u64 {
        let all = self.schema.size_of(id).unwrap_or(0);
        match self.schema.shape(id) {
            // An array in a union is what the others may grow to.
            Some(Shape::Struct { union: true, fields, .. }) => {
                if fields.iter().any(|it| self.is_array(it.ty)) { 0 } else { all }
            }
            Some(Shape::Struct { fields, .. }) if deepest > 0 => {
                let Some(last) = fields.last() else { return all };
                let rest =
                    if self.is_array(last.ty) { 0 } else { self.least(last.ty, deepest - 1) };
                // Behind the last member a struct may be filled up.
                if Some(rest) == self.schema.size_of(last.ty) { all } else { last.at / 8 + rest }
            }
            _ => all,
        }
    }

    fn is_array(&self, id: TypeId) -> bool {
        matches!(self.schema.shape(id), Some(Shape::Array { length, .. }) if length != 1)
    }
}

/// How many structs within each other are looked at.
const DEEPEST: usize = 8;

/// Structs that are the beginning of the objects of the cache of their name: what the processor or the machine needs, or a
/// name, stands behind them.
const BEGINNINGS: [&str; 4] = ["kvm_vcpu", "mm_struct", "proc_dir_entry", "task_struct"];

/// Caches whose names do not say what their objects are.
const KNOWN: [(&str, &str); 55] = [
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
    // Around that since 7.2.
    ("sock_inode_cache", "sockfs_inode"),
    ("tw_sock_TCP", "tcp_timewait_sock"),
    ("tw_sock_TCPv6", "tcp_timewait_sock"),
    ("uid_cache", "user_struct"),
    ("userfaultfd_ctx_cache", "userfaultfd_ctx"),
    ("x86_emulator", "x86_emulate_ctxt"),
];

/// The struct that a cache of this name and object size is of, if that can be told.
#[must_use]
pub fn told_by(types: Types<'_>, name: &str, object_size: u64) -> Option<String> {
    of_name(name, object_size, &|name| types.extent(name))
}

/// The struct that a cache of this name and object size is of, if that can be told. `extent` gives the size of a struct, if
/// there is one of the name. A struct of another size is believed only where it is known why: a kernel may have put it into
/// another one, not at the start.
fn of_name(
    name: &str,
    object_size: u64,
    extent: &dyn Fn(&str) -> Option<Extent>,
) -> Option<String> {
    let exact = |structure: &str| {
        extent(structure)
            .is_some_and(|it| it.all.next_multiple_of(8) == object_size.next_multiple_of(8))
    };
    let mut known = KNOWN.iter().filter(|(cache, _)| *cache == name);
    if let Some((_, structure)) = known.find(|(_, structure)| exact(structure)) {
        return Some((*structure).to_owned());
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
    let begins = |it: Extent| it.least <= object_size && (it.is_open || BEGINNINGS.contains(&name));
    found.cloned().or_else(|| extent(name).is_some_and(begins).then(|| name.to_owned()))
}

/// The struct that the objects of a cache with these names are of: one that all of them say.
#[must_use]
pub fn of(types: Types<'_>, names: &[String], object_size: u64) -> Option<String> {
    let extent = |name: &str| types.extent(name);
    let mut found = names.iter().map(|name| of_name(name, object_size, &extent));
    let first = found.next()??;
    found.all(|other| other.as_ref() == Some(&first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_by_rules_and_sizes() {
        let structs = [
            ("dentry", 192, 192, false),
            ("ext4_inode", 160, 160, false),
            ("ext4_inode_info", 1120, 1120, false),
            ("proc_inode", 688, 688, false),
            ("file", 184, 184, false),
            ("task_struct", 5000, 5000, false),
            ("kmem_cache", 224, 8416, true),
            ("mem_cgroup", 2176, 2176, true),
            ("large", 300, 300, false),
            ("odd", 61, 61, false),
            ("wrapped", 100, 100, false),
            ("socket_alloc", 704, 704, false),
            ("sockfs_inode", 768, 768, false),
        ];
        let extent = |name: &str| {
            let found = structs.iter().find(|(known, ..)| *known == name);
            found.map(|(_, least, all, is_open)| Extent {
                least: *least,
                all: *all,
                is_open: *is_open,
            })
        };
        let of = |name, size| of_name(name, size, &extent);
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
            ("mem_cgroup", 2184, Some("mem_cgroup")),
            // In some kernels the one that is known is within another one.
            ("sock_inode_cache", 704, Some("socket_alloc")),
            ("sock_inode_cache", 768, Some("sockfs_inode")),
            ("sock_inode_cache", 832, None),
            ("wrapped", 128, None),
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
    fn the_table_is_sorted() {
        assert!(KNOWN.is_sorted_by(|left, right| left.0 <= right.0 && left != right));
        assert!(BEGINNINGS.is_sorted());
    }
}
