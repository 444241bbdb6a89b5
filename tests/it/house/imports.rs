//! Finds what a source file imports: in `use` trees and by full paths in code, also within macros.
//!
//! It works on tokens, so comments and strings are none of its business.

use std::{iter::Peekable, path::Path, vec};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::WALLED;

/// Something that a file imports from outside its own module of the crate.
#[derive(Debug, PartialEq)]
pub enum Import {
    /// A module at the root of the crate; `self` for the root itself, `*` for all of it.
    Root(String),
    /// A crate that not every module may use.
    Walled(&'static str),
}

type Tokens = Peekable<vec::IntoIter<TokenTree>>;

/// The segments of a path, each with its line.
type Segments = Vec<(usize, String)>;

/// Every import of a file (below `src`), with its line.
pub fn imports(file: &Path, source: &str) -> Vec<(usize, Import)> {
    let tokens: TokenStream = source.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut found = Vec::new();
    walk(tokens, &module_path(file), &mut found);
    found
}

/// Names of the modules from the root to that of the file. `a_tests.rs` holds the module `tests` of `a`.
fn module_path(file: &Path) -> Vec<String> {
    let mut path = Vec::new();
    for part in file.with_extension("").iter().filter_map(|part| part.to_str()) {
        match part.strip_suffix("_tests") {
            Some(module) => path.extend([module.to_owned(), "tests".to_owned()]),
            None if ["mod", "lib", "main"].contains(&part) => {}
            None => path.push(part.to_owned()),
        }
    }
    path
}

fn walk(tokens: TokenStream, module: &[String], found: &mut Vec<(usize, Import)>) {
    let mut tokens = tokens.into_iter().collect::<Vec<_>>().into_iter().peekable();
    // Whether what comes next continues a path: `a::` was read, or the dot of a field.
    let mut within = false;
    let mut inline = None;
    let mut last = ' ';
    while let Some(token) = tokens.peek() {
        match token {
            TokenTree::Ident(ident) if !within && ident == "use" => {
                tokens.next();
                let mut paths = Vec::new();
                tree(&mut tokens, &[], &mut paths);
                found.extend(paths.iter().filter_map(|path| import(path, module)));
            }
            TokenTree::Ident(ident) if !within && ident == "mod" => {
                tokens.next();
                inline = tokens.peek().map(ToString::to_string);
                continue;
            }
            TokenTree::Ident(ident) if !within && ident == "extern" => {
                tokens.next();
                if is(&tokens.peek(), "crate") {
                    tokens.next();
                    let mut paths = Vec::new();
                    tree(&mut tokens, &[], &mut paths);
                    found.extend(paths.iter().filter_map(|path| import(path, module)));
                }
            }
            TokenTree::Ident(_) if !within => {
                let mut paths = Vec::new();
                tree(&mut tokens, &[], &mut paths);
                // A single word in code is a variable or a field, not a crate.
                paths.retain(|path| path.len() > 1);
                found.extend(paths.iter().filter_map(|path| import(path, module)));
                // `mod name { … }` keeps its name until its body; any other word is none.
                if !matches!(tokens.peek(), Some(TokenTree::Group(_))) {
                    inline = None;
                }
            }
            TokenTree::Ident(_) => {
                tokens.next();
                within = skip_colons(&mut tokens);
            }
            TokenTree::Group(group) => {
                let mut path = module.to_vec();
                path.extend(inline.take());
                let stream = group.stream();
                tokens.next();
                walk(stream, &path, found);
                within = false;
            }
            TokenTree::Punct(punct) => {
                let before = std::mem::replace(&mut last, punct.as_char());
                tokens.next();
                // `<T as A>::b` continues; `::a` at the beginning, also after an arrow, does not.
                let closes = last == '>' && !['-', '='].contains(&before);
                within = last == '.' || (closes && skip_colons(&mut tokens));
            }
            TokenTree::Literal(_) => {
                tokens.next();
                within = false;
            }
        }
    }
}

fn is(token: &Option<&TokenTree>, text: &str) -> bool {
    token.is_some_and(|token| token.to_string() == text)
}

/// Skips `::`; a single colon, as in `name: Type`, is left behind and is no continuation.
fn skip_colons(tokens: &mut Tokens) -> bool {
    let mut ahead = tokens.clone();
    if [ahead.next(), ahead.next()].iter().all(|token| is(&token.as_ref(), ":")) {
        *tokens = ahead;
        return true;
    }
    false
}

/// Reads one tree of a `use`, or one path of code: every path in it, with what comes before.
fn tree(tokens: &mut Tokens, before: &[(usize, String)], found: &mut Vec<Segments>) {
    // The `::` at the very beginning names a crate too.
    skip_colons(tokens);
    let mut path = before.to_vec();
    loop {
        match tokens.peek() {
            Some(TokenTree::Ident(ident)) => path.push((ident.span().start().line, ident.to_string())),
            Some(TokenTree::Punct(punct)) if punct.as_char() == '*' => {
                path.push((punct.span().start().line, "*".into()));
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                tokens.next();
                let comma = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ',');
                for item in inner.split(comma).filter(|item| !item.is_empty()) {
                    let item = Vec::from(item).into_iter();
                    tree(&mut item.peekable(), &path, found);
                }
                return;
            }
            // `Vec::<T>`, say: the path ends here.
            _ => break,
        }
        tokens.next();
        if !skip_colons(tokens) {
            break;
        }
    }
    found.push(path);
}

/// What a path imports, seen from a module.
fn import(path: &Segments, module: &[String]) -> Option<(usize, Import)> {
    let (line, first) = path.first()?;
    let root = |rest: &[(usize, String)]| {
        let (line, name) = rest.first().map_or((*line, "self"), |(line, name)| (*line, name));
        Some((line, Import::Root(name.to_owned())))
    };
    if let Some((walled, _)) = WALLED.iter().find(|(walled, _)| walled == first) {
        return Some((*line, Import::Walled(walled)));
    }
    match first.as_str() {
        "crate" | "streamgauge" => root(&path[1..]),
        "super" | "self" => {
            let climbs = |(_, segment): &&(usize, String)| ["super", "self"].contains(&segment.as_str());
            let above = path.iter().take_while(climbs);
            let (read, ups) = above
                .fold((0, 0), |(read, ups), (_, segment)| (read + 1, ups + usize::from(segment == "super")));
            // Only as many steps up as there are modules lead to the root.
            if ups < module.len() { None } else { root(&path[read..]) }
        }
        _ => None,
    }
}
