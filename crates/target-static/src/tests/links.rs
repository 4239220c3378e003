//! References inside a site.

use synth_core::testkit::TestProject;

use super::pipeline::{build, project, render, target};

/// One of every kind of broken reference.
fn broken_site() -> TestProject {
    project(&[
        (
            "index.html",
            r##"<!doctype html>
<title>a</title>
<link rel="stylesheet" href="css/shopp.css">
<a href="about">About</a> <a href="contact.html#phone">Call</a>
<a href="img/">Images</a> <a href="#top">Up</a> <a href="#nowhere">Down</a>
<img src="img/Logo.svg" srcset="img/logo.svg 1x, img/logo@2x.png 2x">
<a href="https://example.org/no">Elsewhere</a> <a href="mailto:a@example.org">Mail</a>
<a href="file:///home/me/a.pdf">Mine</a> <a href="http://[">Odd</a>
<script type="module">import { cart } from "./js/cart.js"; import "lit";</script>
"##,
        ),
        ("about.html", "<a href=\"/contact.html\">x</a>"),
        (
            "contact.html",
            "<h2 id=\"telephone\">x</h2>\n<a href=\"css/shopp.css\">x</a>",
        ),
        (
            "css/shop.css",
            "@import \"base.css\";\na { background: url('../img/no.png') }\n",
        ),
        (
            "js/cart.js",
            "import './prices.js';\nnew URL('data.json', import.meta.url);\n",
        ),
        ("js/unused.js", "import 'never loaded';\n"),
        (
            "img/logo.svg",
            "<svg xmlns=\"http://www.w3.org/2000/svg\"><path id=\"p\"/></svg>",
        ),
        (
            "app.webmanifest",
            "{ \"icons\": [{ \"src\": \"icon.png\" }], \"start_url\": \"/\" }",
        ),
    ])
}

#[test]
fn every_broken_reference_is_told_with_its_place_and_what_may_be_meant() {
    let problems = build(&broken_site(), &target().setting("minify", false)).unwrap_err();
    insta::assert_snapshot!(render(&problems), @r##"
    error[static.asset.missing] web/app.webmanifest:1:23 `icon.png`
      broken reference: the site has no `icon.png`
    error[static.link.missing] web/contact.html:2:10 `css/shopp.css`
      broken link: the site has no `css/shopp.css`
      help: did you mean `css/shop.css`?
    error[static.asset.missing] web/css/shop.css:1:9 `"base.css"`
      broken reference: the site has no `css/base.css`
    error[static.asset.missing] web/css/shop.css:2:21 `'../img/no.png'`
      broken reference: the site has no `img/no.png`
    error[static.asset.missing] web/index.html:3:30 `css/shopp.css`
      broken reference: the site has no `css/shopp.css`
      help: did you mean `css/shop.css`?
    error[static.link.missing] web/index.html:4:10 `about`
      broken link: the site has no `about`
      help: there is `about.html`: add the extension to the link
      help: set clean_urls = true if your server answers without it
    error[static.anchor.missing] web/index.html:4:36 `contact.html#phone`
      broken anchor: `contact.html` has no element with the id `phone`
      help: if a script or a style sheet acts on it, add "contact.html#phone" to ignore_links
    error[static.link.missing] web/index.html:5:10 `img/`
      broken link: the directory `img/` has no page
      help: put an index.html or index.htm there
    error[static.anchor.missing] web/index.html:5:58 `#nowhere`
      broken anchor: the page has no element with the id `nowhere`
      help: if a script or a style sheet acts on it, add "#nowhere" to ignore_links
    error[static.link.case] web/index.html:6:11 `img/Logo.svg`
      broken reference: the site has no `img/Logo.svg`
      help: there is `img/logo.svg`: servers tell upper from lower case
    error[static.asset.missing] web/index.html:6:50 `img/logo@2x.png`
      broken reference: the site has no `img/logo@2x.png`
      help: did you mean `img/logo.svg`?
    error[static.link.own_machine] web/index.html:8:10 `file:///home/me/a.pdf`
      `file:///home/me/a.pdf` is a file of your machine alone
      help: put the file into the site and link to it there
    error[static.link.malformed] web/index.html:8:51 `http://[`
      `http://[` is no address: invalid IPv6 address
    error[static.import.bare] web/index.html:9:67 `"lit"`
      broken import: no browser knows where the module `lit` is
      help: give it a place with <script type="importmap">, write a path (`./lit.js`), or bundle it with a build_command
    error[static.import.missing] web/js/cart.js:1:8 `'./prices.js'`
      broken import: the site has no `js/prices.js`
    error[static.asset.missing] web/js/cart.js:2:9 `'data.json'`
      broken reference: the site has no `js/data.json`
    "##);
}

#[test]
fn what_a_server_would_find_is_not_broken() {
    let project = project(&[
        (
            "index.html",
            r##"<a href="docs">a</a><a href="docs/#x">b</a><a href="/docs/index.html?q=1#%C3%A9">c</a>
<a href="with%20space.html">d</a><a href="">e</a><a href="#">f</a><a href="{{ url }}">g</a>
<use href="img.svg#i"></use><img src="data:image/png;base64,AA=="><a href="#/route">h</a>
<script type="importmap">{ "imports": { "lit": "/js/lit.js", "ui/": "./js/" } }</script>
<script type="module">import "lit"; import "ui/lit.js";</script>"##,
        ),
        (
            "docs/index.html",
            "<p id=\"x\"><a name=\"é\">y</a><base href=\"/\"><a href=\"docs/\">z</a>",
        ),
        ("with space.html", "x"),
        ("img.svg", "<svg><symbol id=\"i\"/></svg>"),
        ("js/lit.js", "export {}"),
    ]);
    build(&project, &target()).unwrap_or_else(|problems| panic!("{}", render(&problems)));
}

#[test]
fn the_base_path_is_known() {
    let files = [
        (
            "index.html",
            "<a href=\"/docs/a.html\">a</a><a href=\"/a.html\">b</a><a href=\"/shop/\">c</a>\n<a href=\"https://example.org/docs/b.html\">d</a>",
        ),
        ("a.html", "x"),
        (
            "sitemap.xml",
            "<urlset><url><loc> https://example.org/docs/c.html </loc></url></urlset>",
        ),
    ];
    let with_path = target().setting("base_path", "docs");
    let problems = build(&project(&files), &with_path).unwrap_err();
    insta::assert_snapshot!(render(&problems), @r#"
    error[static.link.beside_base] web/index.html:1:38 `/a.html`
      broken reference: `/a.html` is not below `/docs/`
      help: the site is served under `/docs/`: write `/docs/a.html`
    "#);
    let with_url = target().setting("site_url", "https://example.org/docs/");
    let problems = build(&project(&files), &with_url).unwrap_err();
    insta::assert_snapshot!(render(&problems), @r#"
    error[static.link.beside_base] web/index.html:1:38 `/a.html`
      broken reference: `/a.html` is not below `/docs/`
      help: the site is served under `/docs/`: write `/docs/a.html`
    error[static.link.missing] web/index.html:2:10 `https://example.org/docs/b.html`
      broken link: the site has no `b.html`
    error[static.link.missing] web/sitemap.xml:1:20 `https://example.org/docs/c.html`
      broken link: the site has no `c.html`
    "#);
}

#[test]
fn references_can_be_ignored_or_only_warned_of() {
    let files = [(
        "index.html",
        "<a href=\"/api/a\">a</a><a href=\"b.html\">b</a>",
    )];
    let target = target().setting("ignore_links", serde_json::json!(["/api/**", "b.html"]));
    build(&project(&files), &target).unwrap();
    let target = super::pipeline::target().setting("check_links", "warn");
    let site = build(&project(&files), &target).unwrap();
    insta::assert_snapshot!(render(&site.warnings), @r#"
    warning[static.link.missing] web/index.html:1:10 `/api/a`
      broken link: the site has no `api/a`
    warning[static.link.missing] web/index.html:1:32 `b.html`
      broken link: the site has no `b.html`
    "#);
    let target = super::pipeline::target().setting("check_links", false);
    assert!(
        build(&project(&files), &target)
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[test]
fn clean_addresses_are_a_choice() {
    let files = [
        ("index.html", "<a href=\"/about\">a</a>"),
        ("about.html", "x"),
    ];
    let problems = build(&project(&files), &target()).unwrap_err();
    insta::assert_snapshot!(render(&problems), @r#"
    error[static.link.missing] web/index.html:1:10 `/about`
      broken link: the site has no `about`
      help: there is `about.html`: add the extension to the link
      help: set clean_urls = true if your server answers without it
    "#);
    let clean = target().setting("clean_urls", true);
    build(&project(&files), &clean).unwrap();

    // A page beside the directory of the pages below it.
    let files = [
        ("index.html", "<a href=\"/blog\">a</a>"),
        ("blog.html", "<a href=\"blog/first\">b</a>"),
        ("blog/first.html", "<p>"),
    ];
    build(&project(&files), &clean).unwrap();
}

#[test]
fn a_file_named_as_a_directory_is_not_there() {
    let files = [("index.html", "<a href=\"a.txt/\">a</a>"), ("a.txt", "x")];
    let problems = build(&project(&files), &target()).unwrap_err();
    insta::assert_snapshot!(render(&problems), @r#"
    error[static.link.missing] web/index.html:1:10 `a.txt/`
      broken link: the site has no `a.txt/`
      help: did you mean `a.txt`?
    "#);
}

#[test]
fn a_target_broken_on_many_pages_is_told_once() {
    let names: Vec<String> = (0..15).map(|index| format!("{index:02}.html")).collect();
    let mut files = vec![("index.html", "<p>x")];
    files.extend(
        names
            .iter()
            .map(|name| (name.as_str(), "<a href=\"no.html\">x</a>")),
    );
    let problems = build(&project(&files), &target()).unwrap_err();
    insta::assert_snapshot!(render(&problems), @r#"
    error[static.link.missing] web/00.html:1:10 `no.html`
      broken link: the site has no `no.html`
      help: the same is at web/01.html:1, web/02.html:1, web/03.html:1, web/04.html:1, web/05.html:1, web/06.html:1, web/07.html:1, web/08.html:1, web/09.html:1, web/10.html:1 and 4 more places, all in the log
    "#);
}
