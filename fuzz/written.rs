//! A reply as a server writes it, made from the tree that the redis crate has for it: for tests and the fuzzer.

use redis::Value;

/// The bytes of a reply. What a line cannot hold is written as a string of bytes.
pub fn written(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(value, &mut bytes);
    bytes
}

fn write(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Nil => bytes.extend(b"_\r\n"),
        Value::Okay => bytes.extend(b"+OK\r\n"),
        Value::Int(number) => bytes.extend(format!(":{number}\r\n").bytes()),
        Value::Double(number) => bytes.extend(format!(",{number}\r\n").bytes()),
        Value::Boolean(is_true) => bytes.extend(if *is_true { b"#t\r\n" } else { b"#f\r\n" }),
        Value::BulkString(text) => bulk(b'$', text, bytes),
        Value::SimpleString(text) if text.contains(['\r', '\n']) => bulk(b'$', text.as_bytes(), bytes),
        Value::SimpleString(text) => bytes.extend(format!("+{text}\r\n").bytes()),
        Value::VerbatimString { text, .. } => bulk(b'=', format!("txt:{text}").as_bytes(), bytes),
        Value::ServerError(error) => {
            let details = error.details().unwrap_or_default().replace(['\r', '\n'], " ");
            bytes.extend(format!("-{} {details}\r\n", error.code()).bytes());
        }
        Value::Array(items) => list(b'*', items, bytes),
        Value::Set(items) => list(b'~', items, bytes),
        Value::Push { data, .. } => list(b'>', data, bytes),
        Value::Map(pairs) => {
            bytes.extend(format!("%{}\r\n", pairs.len()).bytes());
            for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
                write(part, bytes);
            }
        }
        Value::Attribute { data, attributes } => {
            bytes.extend(format!("|{}\r\n", attributes.len()).bytes());
            for part in attributes.iter().flat_map(|(name, value)| [name, value]) {
                write(part, bytes);
            }
            write(data, bytes);
        }
        // A big number, and whatever the crate may learn yet.
        _ => bytes.extend(b"(123456789012345678901234567890\r\n"),
    }
}

fn bulk(kind: u8, text: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend([kind].into_iter().chain(text.len().to_string().into_bytes()).chain(*b"\r\n"));
    bytes.extend(text);
    bytes.extend(b"\r\n");
}

fn list(kind: u8, items: &[Value], bytes: &mut Vec<u8>) {
    bytes.extend([kind].into_iter().chain(items.len().to_string().into_bytes()).chain(*b"\r\n"));
    items.iter().for_each(|item| write(item, bytes));
}
