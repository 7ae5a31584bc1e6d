//! The names of metrics in a PromQL expression.

/// Words that are neither a metric nor followed by `(`.
const KEYWORDS: [&str; 6] = ["and", "or", "unless", "bool", "offset", "ignoring"];

/// Returns the metrics that `expr` selects: the names that are no function, label, string, duration or variable.
pub(crate) fn metrics(expr: &str) -> Vec<String> {
    let mut metrics = Vec::new();
    let mut rest = expr;
    while let Some(first) = rest.chars().next() {
        let (length, name) = match first {
            '{' => (closed(rest, '}'), false),
            '[' => (closed(rest, ']'), false),
            '"' => (1 + closed(&rest[1..], '"'), false),
            '$' => (1 + word(&rest[1..]), false),
            c if c.is_ascii_digit() => (word(rest), false),
            c if is_word(c) => (word(rest), true),
            c => (c.len_utf8(), false),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        if name {
            if matches!(token, "by" | "without" | "on" | "group_left" | "group_right") {
                // Labels.
                let list = after.trim_start();
                rest = if list.starts_with('(') { &list[closed(list, ')')..] } else { after };
            } else if !is_function(after.trim_start()) && !KEYWORDS.contains(&token) {
                metrics.push(token.to_owned());
            }
        }
    }
    metrics
}

/// Whether what comes before this is a function or an aggregation.
fn is_function(after: &str) -> bool {
    ["(", "by ", "without "].iter().any(|next| after.starts_with(next))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn word(text: &str) -> usize {
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

/// Up to and with the first `end`.
fn closed(text: &str, end: char) -> usize {
    text.find(end).unwrap_or_else(|| panic!("no {end} in {text}")) + 1
}

#[test]
fn only_metrics_are_found() {
    for (expr, found) in [
        ("up", &["up"][..]),
        ("max by (kind, scope) (stale_seconds{kind=~\"$kind\"}) > 60", &["stale_seconds"]),
        (
            "rate(a_total[5m]) / on(name) group_left(x) rate(b_total[$__rate_interval]) * 2e3",
            &["a_total", "b_total"],
        ),
        ("histogram_quantile(0.99, sum by (name, le) (rate(x_bucket[5m])))", &["x_bucket"]),
        ("label_values(depth, name)", &["depth", "name"]),
        ("a > 5 and deriv(b[10m]) > 0", &["a", "b"]),
    ] {
        assert_eq!(metrics(expr), found, "{expr}");
    }
}
