//! The `#[jackfield::ivr]` attribute.
//!
//! It reads two things by hand, its own arguments and the function's name, so it needs no parser
//! crate: a plugin's first build compiles this file and nothing else of the kind.

use proc_macro::{Delimiter, TokenStream, TokenTree};

/// Makes a function the flow of an `ivr` plugin.
///
/// The function takes `&jackfield::Call` and returns `()`, an outcome, or a `Result` of either.
/// The attribute exports it and writes the plugin's manifest (name, version and description from
/// `Cargo.toml`, and what the plugin needs) into the component, in the custom section
/// `jackfield:manifest`.
///
/// `needs` names the capabilities the plugin asks for; an operator grants them, or does not:
/// `dial`, `record`, `kv`, `http`.
///
/// ```ignore
/// #[jackfield::ivr(needs = ["dial", "record"])]
/// fn run(call: &Call) -> Result<(), Error> {
///     call.answer()
/// }
/// ```
#[proc_macro_attribute]
pub fn ivr(args: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = parse_needs(args).and_then(|needs| {
        let name = function_name(item.clone())?;
        Ok(expansion(&name, &needs))
    });
    let added: TokenStream = match expanded {
        Ok(code) => code
            .parse()
            .expect("invariant: the expansion is valid Rust"),
        Err(message) => format!("::core::compile_error!({message:?});")
            .parse()
            .expect("invariant: a quoted string is valid Rust"),
    };
    item.into_iter().chain(added).collect()
}

/// The strings of `needs = ["a", "b"]`; none for an empty argument list.
fn parse_needs(args: TokenStream) -> Result<Vec<String>, String> {
    const USAGE: &str = "expected #[jackfield::ivr] or #[jackfield::ivr(needs = [\"dial\"])]";
    let mut tokens = args.into_iter();
    let Some(first) = tokens.next() else {
        return Ok(Vec::new());
    };
    if first.to_string() != "needs" || tokens.next().is_none_or(|t| t.to_string() != "=") {
        return Err(USAGE.to_owned());
    }
    let Some(TokenTree::Group(list)) = tokens.next() else {
        return Err(USAGE.to_owned());
    };
    let trailing = tokens.next().is_some_and(|t| t.to_string() != ",") || tokens.next().is_some();
    if list.delimiter() != Delimiter::Bracket || trailing {
        return Err(USAGE.to_owned());
    }
    let mut needs = Vec::new();
    for token in list.stream() {
        let text = token.to_string();
        if text == "," {
            continue;
        }
        let name = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        match name {
            Some(name) if is_word(name) => needs.push(name.to_owned()),
            _ => return Err(format!("a need is a string such as \"dial\", not {text}")),
        }
    }
    Ok(needs)
}

/// Lower-case letters, digits and hyphens: nothing that would need escaping in the manifest.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The identifier after the first `fn` outside any bracket.
fn function_name(item: TokenStream) -> Result<String, String> {
    let mut tokens = item.into_iter();
    while let Some(token) = tokens.next() {
        if matches!(&token, TokenTree::Ident(ident) if ident.to_string() == "fn")
            && let Some(TokenTree::Ident(name)) = tokens.next()
        {
            return Ok(name.to_string());
        }
    }
    Err("#[jackfield::ivr] goes on a function: fn run(call: &Call) -> Result<(), Error>".to_owned())
}

/// The export and the manifest. Both exist only in a component: a native build of the crate, for
/// its unit tests, type-checks the function and links nothing.
fn expansion(name: &str, needs: &[String]) -> String {
    let needs: Vec<String> = needs.iter().map(|need| format!("'{need}'")).collect();
    let needs = format!("[{}]", needs.join(", "));
    format!(
        r#"
#[allow(dead_code, unsafe_code, unused_qualifications)]
const _: () = {{
    struct Plugin;
    impl ::jackfield::export::Guest for Plugin {{
        fn run(
            call: ::jackfield::export::RawCall,
        ) -> ::core::result::Result<::jackfield::Outcome, ::jackfield::Error> {{
            ::jackfield::export::IntoFlowResult::into_flow_result({name}(
                &::jackfield::export::call(call),
            ))
        }}
    }}

    #[cfg(target_arch = "wasm32")]
    ::jackfield::export::export_ivr!(Plugin with_types_in ::jackfield::export::bindings);

    const MANIFEST: &str = ::core::concat!(
        "name = '", ::core::env!("CARGO_PKG_NAME"), "'\n",
        "version = '", ::core::env!("CARGO_PKG_VERSION"), "'\n",
        "description = '''", ::core::env!("CARGO_PKG_DESCRIPTION"), "'''\n",
        "world = 'ivr'\n",
        "wit = '", "0.1.0", "'\n",
        "needs = ", "{needs}", "\n",
    );

    #[cfg(target_arch = "wasm32")]
    #[used]
    #[unsafe(link_section = "jackfield:manifest")]
    static SECTION: [u8; MANIFEST.len()] = ::jackfield::export::section(MANIFEST);
}};
"#
    )
}
