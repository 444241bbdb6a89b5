//! The shapes that replies have: objects with fields, lists, and what stands in them. Each says what it is not.

use super::Unexpected;
use crate::{
    collect::resp::{Items, Reply},
    model::{
        decimal,
        name::{Name, Names},
        stream_id::StreamId,
    },
};

/// A field of an object, which may not be there. Nil is the same as not there.
#[derive(Clone, Copy)]
pub(in crate::collect) struct Field<'a> {
    name: &'static str,
    pub(in crate::collect) value: Option<Reply<'a>>,
}

/// Fields of one object, a map in RESP3, a list of names and values in RESP2; of two with the same name, the first.
pub(in crate::collect) fn fields<'a, const N: usize>(
    reply: Reply<'a>,
    names: [&'static str; N],
) -> Result<[Field<'a>; N], Unexpected> {
    let mut fields = names.map(|name| Field { name, value: None });
    let mut pairs = reply.fields().ok_or(Unexpected::Shape("the reply", "field names and values"))?;
    // They mostly come in this order.
    let mut next = 0;
    while let (Some(name), Some(value)) = (pairs.next(), pairs.next()) {
        let Some(name) = name.bytes() else { continue };
        let is_it = |place: &usize| fields[*place].name.as_bytes() == name;
        let Some(place) = (next..N).chain(0..next).find(is_it) else { continue };
        fields[place].value.get_or_insert(value);
        next = place + 1;
    }
    fields.iter_mut().for_each(|field| field.value = field.value.filter(|value| !value.is_nil()));
    Ok(fields)
}

impl<'a> Field<'a> {
    pub(in crate::collect) fn required(self) -> Result<Reply<'a>, Unexpected> {
        self.value.ok_or(Unexpected::Missing(self.name))
    }

    pub(in crate::collect) fn bytes(self) -> Option<&'a [u8]> {
        self.value?.bytes()
    }

    pub(in crate::collect) fn integer(self) -> Result<i64, Unexpected> {
        integer(self.required()?).ok_or(Unexpected::Shape(self.name, "an integer"))
    }

    pub(in crate::collect) fn optional_integer(self) -> Result<Option<i64>, Unexpected> {
        self.value.map(|_| self.integer()).transpose()
    }

    pub(in crate::collect) fn count(self) -> Result<u64, Unexpected> {
        u64::try_from(self.integer()?).map_err(|_| Unexpected::Shape(self.name, "a number of at least 0"))
    }

    pub(in crate::collect) fn optional_count(self) -> Result<Option<u64>, Unexpected> {
        self.value.map(|_| self.count()).transpose()
    }

    pub(in crate::collect) fn id(self) -> Result<StreamId, Unexpected> {
        id(self.name, self.required()?)
    }

    pub(in crate::collect) fn optional_id(self) -> Result<Option<StreamId>, Unexpected> {
        self.value.map(|_| self.id()).transpose()
    }

    pub(in crate::collect) fn entry_id(self) -> Result<StreamId, Unexpected> {
        entry_id(self.name, self.required()?)
    }

    pub(in crate::collect) fn size(self) -> u64 {
        self.value.map_or(0, Reply::size)
    }

    pub(in crate::collect) fn text(self) -> Result<&'a [u8], Unexpected> {
        self.required()?.bytes().ok_or(Unexpected::Shape(self.name, "a string"))
    }

    pub(in crate::collect) fn name(self) -> Result<Name, Unexpected> {
        self.text().map(Name::from)
    }

    pub(in crate::collect) fn known(self, names: &mut Names) -> Result<Name, Unexpected> {
        self.text().map(|bytes| names.get(bytes))
    }
}

pub(in crate::collect) fn items<'a>(what: &'static str, reply: Reply<'a>) -> Result<Items<'a>, Unexpected> {
    reply.items().ok_or(Unexpected::Shape(what, "a list"))
}

/// What becomes of all items, in just as much room as they take: `collect` would not know how many there are.
pub(in crate::collect) fn all<'a, T>(
    items: Items<'a>,
    mut read: impl FnMut(Reply<'a>) -> Result<T, Unexpected>,
) -> Result<Vec<T>, Unexpected> {
    let mut all = Vec::with_capacity(items.room());
    for item in items {
        all.push(read(item)?);
    }
    Ok(all)
}

/// The first items of a list; `None` where there are fewer.
pub(in crate::collect) fn first_of<'a, const N: usize>(
    what: &'static str,
    reply: Reply<'a>,
) -> Result<Option<[Reply<'a>; N]>, Unexpected> {
    let mut items = items(what, reply)?;
    let mut is_whole = true;
    let first = std::array::from_fn(|_| {
        let item = items.next();
        is_whole &= item.is_some();
        item.unwrap_or(reply)
    });
    Ok(is_whole.then_some(first))
}

/// The items of a list; `None` where there are fewer or more.
pub(in crate::collect) fn all_of<'a, const N: usize>(
    what: &'static str,
    reply: Reply<'a>,
) -> Result<Option<[Reply<'a>; N]>, Unexpected> {
    if items(what, reply)?.len() == N { first_of(what, reply) } else { Ok(None) }
}

/// An integer, also as a string: Redis sends some counts so.
pub(in crate::collect) fn integer(reply: Reply<'_>) -> Option<i64> {
    reply.integer().or_else(|| decimal::signed(reply.bytes()?))
}

pub(in crate::collect) fn id(field: &'static str, reply: Reply<'_>) -> Result<StreamId, Unexpected> {
    reply.bytes().and_then(StreamId::of_text).ok_or(Unexpected::Shape(field, "a stream entry ID"))
}

/// The ID of an entry, `[id, fields]`.
pub(in crate::collect) fn entry_id(field: &'static str, reply: Reply<'_>) -> Result<StreamId, Unexpected> {
    match reply.items().and_then(|mut parts| parts.next()) {
        Some(entry) => id(field, entry),
        None => Err(Unexpected::Shape(field, "[id, fields]")),
    }
}
