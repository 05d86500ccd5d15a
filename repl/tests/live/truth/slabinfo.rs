//! The columns of `/proc/slabinfo`: the same rows, in the same order, with the same figures.

use super::keys;
use crate::common;
use crate::common::ask;
use crate::common::settle::{enough, settle};
use crate::common::witness::{self, Line};

/// A column, and what a line of `/proc/slabinfo` says of it.
type Column = (&'static str, fn(&Line) -> u64);

#[test]
fn slabinfo_has_the_same_rows_in_the_same_order() {
    let Some(_turn) = common::live() else { return };
    for mut session in ask::sources() {
        let text = "select addr, name, objects, size, objects_per_slab, pages_per_slab, slabs";
        let columns: [Column; 5] = [
            ("objects", |line| line.objects),
            ("size", |line| line.size),
            ("objects_per_slab", |line| line.objects_per_slab),
            ("pages_per_slab", |line| line.pages_per_slab),
            ("slabs", |line| line.slabs),
        ];
        let counts = settle(&ask::by(&session, "slabinfo"), |round| {
            let before = witness::slabinfo();
            let answer = ask::ask(&mut session, text);
            let after = witness::slabinfo();
            let names =
                |lines: &[Line]| lines.iter().map(|line| line.name.clone()).collect::<Vec<_>>();
            let order = [names(&before), answer.texts("name"), names(&after)];
            let same = order[0] == order[1] && order[1] == order[2];
            round.cell("order", "all names", order.map(|names| names.join(" ")));
            // Rows are told apart by their place, which means nothing in lists of different caches.
            if !same {
                return;
            }
            let keys = keys(&answer);
            for key in &keys {
                round.cell("name", key, [key.clone(), key.clone(), key.clone()]);
            }
            for (column, of) in columns {
                let ours = answer.numbers(column);
                for (index, key) in keys.iter().enumerate() {
                    let cell = [of(&before[index]), ours[index], of(&after[index])];
                    round.cell(column, key, cell.map(|number| number.to_string()));
                }
            }
        });
        enough(&counts, &columns.map(|(column, _)| column), 100);
        assert_eq!(counts["order"], 1);
    }
}
