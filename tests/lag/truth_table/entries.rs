//! What becomes of the entries: deleted, trimmed away, with unusual IDs.

use super::{
    NIL, RIGHT, Row,
    Says::{Nil, Off, Right},
    check, row,
};

pub const DELETIONS: &[Row] = &[
    row(
        "XDEL of an undelivered entry in the middle",
        &[check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; XDEL s 7", 5, NIL)],
    ),
    row(
        "XDEL of the next entry, read 1, read to the end",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; XDEL s 5", 5, NIL),
            check("READ g 1", 4, [Off(1), Nil, Nil]),
            check("READ g 10", 0, [Off(1), Right, Right]),
            check("XADD s 11..13 f v", 3, [Off(1), Right, Right]),
        ],
    ),
    row(
        "XDEL of the last entry, read all, XADD",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; XDEL s 10", 5, NIL),
            check("READ g 10", 0, NIL),
            check("XADD s 11..13 f v", 3, NIL),
        ],
    ),
    row(
        "XDEL of a delivered entry that is not the last delivered",
        &[check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; XDEL s 2", 6, RIGHT)],
    ),
    row(
        "XACK and XDEL of all that is delivered",
        &[check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; XACK s g 1..4; XDEL s 1..4", 6, RIGHT)],
    ),
    row(
        "XDEL of the last delivered entry, earlier ones stay, read 2",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; XDEL s 4", 6, NIL),
            check("READ g 2", 4, [Right, Nil, Nil]),
        ],
    ),
    row(
        "a fast group acknowledges and deletes past a slow one, which reads 1",
        &[
            check(
                "XADD s 1..10 f v; XGROUP CREATE s g 0; XGROUP CREATE s fast 0; READ g 3; READ fast 8; \
            XACK s fast 1..8; XDEL s 1..8",
                2,
                [Off(5), Right, Nil],
            ),
            check("READ g 1", 1, [Off(5), Right, Right]),
        ],
    ),
    row(
        "XDEL of the first entry and of one in the middle, group at 0",
        &[check("XADD s 1..10 f v; XGROUP CREATE s g 0; XDEL s 1; XDEL s 5", 8, NIL)],
    ),
    row(
        "XCLAIM of a pending entry that is deleted",
        &[
            check(
                "XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; XDEL s 2; XCLAIM s g other 0 2",
                6,
                RIGHT,
            ),
            check("READ g 2", 4, RIGHT),
        ],
    ),
    row(
        "XAUTOCLAIM of a pending entry that is deleted",
        &[
            check(
                "XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; XDEL s 2; XAUTOCLAIM s g other 0 0",
                6,
                RIGHT,
            ),
            check("READ g 2", 4, RIGHT),
        ],
    )
    .since(6, 2),
];

pub const TRIMS: &[Row] = &[
    row(
        "XTRIM MAXLEN = past undelivered entries, read 1, read all, XADD 5",
        &[
            check(
                "XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; XTRIM s MAXLEN = 3",
                3,
                [Off(3), Right, Off(3)],
            ),
            check("READ g 1", 2, [Off(3), Right, Right]),
            check("READ g 10", 0, [Off(3), Right, Right]),
            check("XADD s 11..15 f v", 5, [Off(3), Right, Right]),
        ],
    ),
    row(
        "XTRIM MINID = past undelivered entries, read 1, read all, XADD 5",
        &[
            check(
                "XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; XTRIM s MINID = 8",
                3,
                [Off(3), Right, Off(3)],
            ),
            check("READ g 1", 2, [Off(3), Right, Right]),
            check("READ g 10", 0, [Off(3), Right, Right]),
            check("XADD s 11..15 f v", 5, [Off(3), Right, Right]),
        ],
    )
    .since(6, 2),
    row(
        "XADD MAXLEN = past undelivered entries, read 1, read all, XADD 5",
        &[
            check(
                "XADD s 1..9 f v; XGROUP CREATE s g 0; READ g 4; XADD s MAXLEN = 3 10 f v",
                3,
                [Off(3), Right, Off(3)],
            ),
            check("READ g 1", 2, [Off(3), Right, Right]),
            check("READ g 10", 0, [Off(3), Right, Right]),
            check("XADD s 11..15 f v", 5, [Off(3), Right, Right]),
        ],
    ),
    row(
        "XTRIM of delivered entries only",
        &[check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; XTRIM s MAXLEN = 6", 6, RIGHT)],
    ),
    row(
        "XTRIM before the first read",
        &[
            check("XADD s 1..10 f v; XGROUP CREATE s g 0; XTRIM s MAXLEN = 6", 6, RIGHT),
            check("READ g 2", 4, RIGHT),
        ],
    ),
    row(
        "XDEL of an undelivered entry, then XTRIM past it",
        &[check(
            "XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; XDEL s 7; XTRIM s MAXLEN = 2",
            2,
            [Off(4), Right, Nil],
        )],
    ),
];

/// Trims that remove whole nodes of 100 entries.
pub const TRIMS_BY_NODES: &[Row] = &[
    row(
        "XTRIM MAXLEN ~ past undelivered entries, read 1, read all, XADD 5",
        &[
            check(
                "XADD s 1..500 f v; XGROUP CREATE s g 0; READ g 50; XTRIM s MAXLEN ~ 300",
                300,
                [Off(150), Right, Off(150)],
            ),
            check("READ g 1", 299, [Off(150), Right, Right]),
            check("READ g 500", 0, [Off(150), Right, Right]),
            check("XADD s 501..505 f v", 5, [Off(150), Right, Right]),
        ],
    ),
    row(
        "XTRIM MINID ~ past undelivered entries, read 1, read all, XADD 5",
        &[
            check(
                "XADD s 1..500 f v; XGROUP CREATE s g 0; READ g 50; XTRIM s MINID ~ 250",
                300,
                [Off(150), Right, Off(150)],
            ),
            check("READ g 1", 299, [Off(150), Right, Right]),
            check("READ g 500", 0, [Off(150), Right, Right]),
            check("XADD s 501..505 f v", 5, [Off(150), Right, Right]),
        ],
    )
    .since(6, 2),
    row(
        "XADD MAXLEN ~ past undelivered entries, read 1, read all, XADD 5",
        &[
            check(
                "XADD s 1..500 f v; XGROUP CREATE s g 0; READ g 50; XADD s MAXLEN ~ 1 501 f v",
                1,
                [Off(450), Right, Off(450)],
            ),
            check("XADD s 502..503 f v", 3, [Off(450), Right, Off(450)]),
            check("READ g 1", 2, [Off(450), Right, Right]),
            check("READ g 500", 0, [Off(450), Right, Right]),
            check("XADD s 504..508 f v", 5, [Off(450), Right, Right]),
        ],
    ),
];

pub const EMPTIED: &[Row] = &[
    row(
        "emptied by XTRIM 0 with 6 undelivered, XADD 3, read 1",
        &[
            check(
                "XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; XTRIM s MAXLEN 0",
                0,
                [Off(6), Right, Off(6)],
            ),
            check("XADD s 11..13 f v", 3, [Off(6), Right, Off(6)]),
            check("READ g 1", 2, [Off(6), Right, Right]),
        ],
    ),
    row(
        "emptied by XDEL with 6 undelivered, XADD 3, read 1",
        &[
            check(
                "XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4; XDEL s 1..10",
                0,
                [Off(6), Right, Off(6)],
            ),
            check("XADD s 11..13 f v", 3, [Off(6), Right, Nil]),
            check("READ g 1", 2, [Off(6), Right, Right]),
        ],
    ),
];

pub const IDS: &[Row] = &[
    row(
        "IDs of time 0",
        &[
            check("XADD s 0-1..10 f v; XGROUP CREATE s g 0; READ g 4", 6, RIGHT),
            check("READ g 10; XADD s 0-11..13 f v", 3, RIGHT),
        ],
    ),
    row(
        "IDs of the far future",
        &[
            check("XADD s 9999999999990..9999999999999 f v; XGROUP CREATE s g 0; READ g 4", 6, RIGHT),
            check("READ g 10; XADD s * f v", 1, RIGHT),
        ],
    ),
    row(
        "the highest ID of all",
        &[
            check(
                "XADD s 1..9 f v; XADD s 18446744073709551615-18446744073709551615 f v; XGROUP CREATE s g 0; \
            READ g 4",
                6,
                RIGHT,
            ),
            check("READ g 10", 0, RIGHT),
            check(
                "XGROUP CREATE s other 0; READ other 8; XDEL s 18446744073709551615-18446744073709551615; \
            XGROUP SETID s g 0",
                9,
                NIL,
            ),
        ],
    ),
];

pub const KEYS: &[Row] = &[row(
    "DEL, made anew",
    &[
        check("XADD s 1..10 f v; XGROUP CREATE s g 0; READ g 4", 6, RIGHT),
        check("DEL s; XADD s 1..10 f v; XGROUP CREATE s g 0", 10, RIGHT),
        check("READ g 2", 8, RIGHT),
    ],
)];
