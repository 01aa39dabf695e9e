//! What keeps the page safe: its headers. That text stays text in the real Chromium, the end-to-end tests show.

use crate::place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_headers_that_keep_a_page_safe() {
    let place = Place::open().await;
    for path in ["/", "/index.html", "/main.js", "/style.css", "/v1/config", "/v1/sessions", "/nothing", "/v1/ws"] {
        let answer = place.get(path, &[]).await;
        let header = |name: &str| answer.header(name).unwrap_or_else(|| panic!("{path} lacks {name}"));
        let policy = header("content-security-policy");
        let rule = |name: &str| {
            let rules = policy.split(';').map(str::trim);
            let found = rules.filter_map(|rule| rule.strip_prefix(name)).map(str::trim).next();
            found.unwrap_or_else(|| panic!("{path}: no {name} in {policy}")).to_owned()
        };
        for (name, value) in [
            ("default-src", "'none'"),
            ("script-src", "'self'"),
            ("style-src", "'self'"),
            ("img-src", "'self'"),
            ("base-uri", "'none'"),
            ("form-action", "'self'"),
            ("frame-ancestors", "'none'"),
            ("require-trusted-types-for", "'script'"),
            ("trusted-types", "'none'"),
        ] {
            assert_eq!(rule(name), value, "{path}");
        }
        assert_eq!(rule("connect-src"), format!("'self' ws://{0} wss://{0}", place.at));
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("data:"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(header(name), value, "{path}");
        }
    }
    // Nothing in the page would need more than that.
    let page = place.get("/", &[]).await.text();
    for inline in ["<style", "style=\"", " onclick=", " onload=", "javascript:", "<script>"] {
        assert!(!page.contains(inline), "{inline}");
    }
    assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=\"").count());
}
