//! The attribute `#[znode_testing::test]`, which is documented in `znode-testing`.

use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

/// What the attribute was told.
#[derive(Default)]
struct Told {
    servers: Option<TokenStream>,
    start_paused: Option<TokenStream>,
    spec: Option<TokenStream>,
}

/// A function, in the parts that matter.
struct Function {
    /// Attributes and visibility.
    before: TokenStream,
    name: Ident,
    /// Everything from `async` on.
    whole: TokenStream,
    /// The arrow and what follows it, if there is one.
    returns: TokenStream,
}

/// Why an attribute cannot be used, and where that shows.
struct Wrong(Span, String);

/// Gives a test a ZooKeeper server of its own; see `znode_testing::test`.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = told(arguments).and_then(|told| Ok(expand(told, function(item)?)));
    expanded.unwrap_or_else(|Wrong(span, why)| {
        let literal = proc_macro::Literal::string(&why);
        let message = Group::new(Delimiter::Parenthesis, TokenTree::from(literal).into());
        let error: TokenStream = "::core::compile_error!".parse().expect("this is Rust");
        let tokens = error.into_iter().chain([message.into(), semicolon()]);
        tokens.map(|token| at(token, span)).collect()
    })
}

fn semicolon() -> TokenTree {
    proc_macro::Punct::new(';', proc_macro::Spacing::Alone).into()
}

fn at(mut token: TokenTree, span: Span) -> TokenTree {
    token.set_span(span);
    token
}

/// `servers = 3, start_paused = true, spec = …`.
fn told(arguments: TokenStream) -> Result<Told, Wrong> {
    let mut told = Told::default();
    let mut tokens = arguments.into_iter().peekable();
    while let Some(name) = tokens.next() {
        let place = match name.to_string().as_str() {
            "servers" => &mut told.servers,
            "start_paused" => &mut told.start_paused,
            "spec" => &mut told.spec,
            other => {
                let why = format!("{other}: must be one of servers, start_paused and spec");
                return Err(Wrong(name.span(), why));
            }
        };
        let is = |token: &TokenTree, c: char| matches!(token, TokenTree::Punct(p) if *p == c);
        if !tokens.next().is_some_and(|token| is(&token, '=')) {
            return Err(Wrong(name.span(), format!("{name}: must be followed by = and a value")));
        }
        let mut value = Vec::new();
        while let Some(token) = tokens.next_if(|token| !is(token, ',')) {
            value.push(token);
        }
        tokens.next();
        if value.is_empty() {
            return Err(Wrong(name.span(), format!("{name}: must be followed by = and a value")));
        }
        *place = Some(value.into_iter().collect());
    }
    Ok(told)
}

/// Takes a function apart as far as needed.
fn function(item: TokenStream) -> Result<Function, Wrong> {
    let tokens: Vec<TokenTree> = item.into_iter().collect();
    let wrong = |why: &str| Wrong(Span::call_site(), why.to_owned());
    let word = |text: &str| {
        let is =
            |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word.to_string() == text);
        tokens.iter().position(is)
    };
    let function = word("fn").ok_or_else(|| wrong("must stand before a function"))?;
    let start = word("async").filter(|start| *start < function);
    let start = start.ok_or_else(|| wrong("the function must be async"))?;
    let Some(TokenTree::Ident(name)) = tokens.get(function + 1) else {
        return Err(wrong("the function must have a name"));
    };
    let is_list = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Parenthesis,
        _ => false,
    };
    if !tokens.get(function + 2).is_some_and(is_list) {
        return Err(Wrong(name.span(), "the function must not be generic".to_owned()));
    }
    let end = tokens.len().saturating_sub(1);
    Ok(Function {
        before: tokens[..start].iter().cloned().collect(),
        name: name.clone(),
        whole: tokens[start..].iter().cloned().collect(),
        returns: tokens[function + 3..end.max(function + 3)].iter().cloned().collect(),
    })
}

/// The test that the harness runs, with the function within.
fn expand(told: Told, function: Function) -> TokenStream {
    let Function { before, name, whole, returns } = function;
    let is_paused = told.start_paused.is_some_and(|value| value.to_string() == "true");
    let spec = told.spec.map_or_else(
        || "::znode_testing::InstanceSpec::new()".to_owned(),
        |spec| format!("{{ {spec} }}"),
    );
    let with = match told.servers {
        None => format!("::znode_testing::attribute::with_server({spec}, {name})"),
        Some(servers) => {
            let cluster = format!("::znode_testing::ClusterSpec::new({servers}).each({spec})");
            format!("::znode_testing::attribute::with_cluster({cluster}, {name})")
        }
    };
    // Only who pauses the clock needs to have tokio, and its feature for that.
    let runtime = if is_paused {
        "::tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()"
    } else {
        "::znode_testing::attribute::runtime()"
    };
    let parse = |text: String| text.parse::<TokenStream>().expect("this is Rust");
    let mut body = whole;
    body.extend(parse(format!("{runtime}.expect(\"a runtime\").block_on({with})")));
    let mut test = parse("#[::core::prelude::v1::test]".to_owned());
    test.extend(before);
    test.extend(parse(format!("fn {name}()")));
    test.extend(returns);
    test.extend([TokenTree::from(Group::new(Delimiter::Brace, body))]);
    test
}
