//! Where groups begin and are set to, and counters that are written by hand.

use super::{
    NIL, RIGHT, Row,
    Says::{Off, Right},
    check, deceiving, row,
};

pub const GROUPS: &[Row] = &[
    row(
        "group at 0, nothing since, then read, NOACK, to the end",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0", 10, RIGHT),
            check("READ g 4", 6, RIGHT),
            check("READ g 2 NOACK", 4, RIGHT),
            check("READ g 10", 0, RIGHT),
            check("XADD s 11..13 f v", 3, RIGHT),
        ],
    ),
    row(
        "group at 0 of a stream that is made with it",
        &[
            check("XGROUP CREATE s g 0 MKSTREAM", 0, RIGHT),
            check("XADD s 1..3 f v", 3, RIGHT),
            check("READ g 1", 2, RIGHT),
        ],
    ),
    row("group at $, nothing since", &[check("XADD s 1..10 f v; XGROUP CREATE s g $", 0, RIGHT)]),
    row(
        "group at $ of an empty stream, XADD",
        &[check("XGROUP CREATE s g $ MKSTREAM; XADD s 1..3 f v", 3, RIGHT), check("READ g 1", 2, RIGHT)],
    ),
    row(
        "group at $, XADD 3, read some, read to the end, XADD",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g $; XADD s 11..13 f v", 3, NIL),
            check("READ g 1", 2, NIL),
            check("READ g 5", 0, RIGHT),
            check("XADD s 14..16 f v", 3, RIGHT),
        ],
    ),
    row("group at the first ID", &[check("XADD s 1..10 f v; XGROUP CREATE s g 1", 9, RIGHT)]),
    row(
        "group at a middle ID that exists, read some, read to the end, XADD",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 5", 5, NIL),
            check("READ g 2", 3, NIL),
            check("READ g 5", 0, RIGHT),
            check("XADD s 11..13 f v", 3, RIGHT),
        ],
    ),
    row(
        "group at a middle ID that does not exist, read some, read to the end, XADD",
        &[
            check("XADD s 1..5 f v; XADD s 7..11 f v; XGROUP CREATE s g 6", 5, NIL),
            check("READ g 2", 3, NIL),
            check("READ g 5", 0, RIGHT),
            check("XADD s 12..14 f v", 3, RIGHT),
        ],
    ),
    row(
        "group beyond the end, XADD below, then across it",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 20", 0, NIL),
            check("XADD s 11 f v", 0, NIL),
            check("XADD s 21..22 f v", 2, NIL),
        ],
    ),
    row(
        "SETID 0 and $",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 5; XGROUP SETID s g 0", 10, RIGHT),
            check("XGROUP SETID s g $", 0, RIGHT),
        ],
    ),
    row(
        "SETID to the middle, read some, read to the end, XADD",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; XGROUP SETID s g 5", 5, NIL),
            check("READ g 2", 3, NIL),
            check("READ g 5", 0, RIGHT),
            check("XADD s 11..13 f v", 3, RIGHT),
        ],
    ),
    row(
        "SETID back to the middle, after reading to the end",
        &[check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 10; XGROUP SETID s g 5", 5, NIL)],
    ),
    row(
        "SETID beyond the end, XADD below, then across it",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; XGROUP SETID s g 20", 0, NIL),
            check("XADD s 11 f v", 0, NIL),
            check("XADD s 21..22 f v", 2, NIL),
        ],
    ),
];

/// Counters that somebody writes by hand.
pub const BY_HAND: &[Row] = &[
    row(
        "CREATE in the middle with ENTRIESREAD too high",
        &[check("XADD s 1..10 f v; XGROUP CREATE s g 5 ENTRIESREAD 10", 5, [Off(-5); 3])],
    )
    .since(7, 0),
    row(
        "SETID to the middle with ENTRIESREAD too high",
        &[check("XADD s 1..10 f v; XGROUP CREATE s g 0; XGROUP SETID s g 5 ENTRIESREAD 10", 5, [Off(-5); 3])],
    )
    .since(7, 0),
    row(
        "SETID to the middle with ENTRIESREAD too high by less",
        &[check("XADD s 1..10 f v; XGROUP CREATE s g 0; XGROUP SETID s g 5 ENTRIESREAD 7", 5, [Off(-2); 3])],
    )
    .since(7, 0),
    row(
        "CREATE at 0 with ENTRIESREAD of all",
        &[check("XADD s 1..10 f v; XGROUP CREATE s g 0 ENTRIESREAD 10", 10, [Off(-10), Right, Off(-10)])],
    )
    .since(7, 0),
    row(
        "SETID with ENTRIESREAD too low",
        &[check("XADD s 1..10 f v; XGROUP CREATE s g 0; XGROUP SETID s g 5 ENTRIESREAD 2", 5, [Off(3); 3])],
    )
    .since(7, 0),
    row(
        "SETID with ENTRIESREAD beyond what was added",
        &[check(
            "XADD s 1..10 f v; XGROUP CREATE s g 0; XGROUP SETID s g 5 ENTRIESREAD 50",
            5,
            [Off(-45); 3],
        )],
    )
    .since(7, 0),
    row(
        "SETID to the middle with ENTRIESREAD too high by less, of a group whose counter was right before",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 1", 9, RIGHT),
            deceiving("XGROUP SETID s g 5 ENTRIESREAD 7", 5, [Off(-2); 3]),
            deceiving("READ g 1", 4, [Off(-2); 3]),
            check("READ g 10", 0, [Off(-2); 3]),
        ],
    )
    .since(7, 0),
    // As above, but the counter leaves nothing to wait for: zero is never taken from a counter.
    row(
        "SETID to the middle with ENTRIESREAD of all, of a group whose counter was right before",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 1", 9, RIGHT),
            check("XGROUP SETID s g 5 ENTRIESREAD 10", 5, [Off(-5); 3]),
        ],
    )
    .since(7, 0),
    row(
        "XCLAIM LASTID",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4", 6, RIGHT),
            check("XCLAIM s g g 0 1 LASTID 6", 4, [Off(2); 3]),
            check("READ g 1", 3, [Off(2); 3]),
        ],
    ),
    row(
        "XSETID raises the last ID, group at $",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g $; XSETID s 20", 0, NIL),
            check("XADD s 21..23 f v", 3, NIL),
        ],
    ),
    row(
        "XSETID raises the last ID, the group has read all",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 10; XSETID s 20", 0, RIGHT),
            check("XADD s 21..23 f v", 3, RIGHT),
        ],
    ),
    row(
        "XSETID ENTRIESADDED too high",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4", 6, RIGHT),
            check("XSETID s 10 ENTRIESADDED 50 MAXDELETEDID 0-0", 6, [Off(40); 3]),
            check("READ g 1", 5, [Off(40); 3]),
        ],
    )
    .since(7, 0),
    row(
        "XSETID ENTRIESADDED too low",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 6; XDEL s 1..2", 4, RIGHT),
            check("XSETID s 10 ENTRIESADDED 8 MAXDELETEDID 2", 4, [Off(-2); 3]),
            check("READ g 1", 3, [Off(-2); 3]),
        ],
    )
    .since(7, 0),
];
