//! Sites that are their sources.

use std::os::unix::fs::symlink;

use super::pipeline::{build, project, render, target};

const PAGE: &str = "<!doctype html>\n<html>\n<head>\n<link rel=\"stylesheet\" href=\"css/a.css\">\n</head>\n<body>\n<p>Hello,   world</p>\n<script src=\"a.js\"></script>\n</body>\n</html>\n";

#[test]
fn a_site_is_minified_and_listed() {
    let project = project(&[
        ("index.html", PAGE),
        ("css/a.css", "p {\n  color: #ff0000;\n}\n"),
        ("a.js", "let total = 1 + 2;\n"),
        ("vendor.min.js", "let  vendored = 1 ;\n"),
        ("notes.txt", "as it  is\n"),
        (".env", "SECRET=1"),
        (".git/config", ""),
        (
            ".well-known/security.txt",
            "Contact: mailto:a@example.org\n",
        ),
        ("package.json", "{}"),
    ]);
    let site = build(&project, &target()).unwrap();
    let files: Vec<&str> = site.files.keys().map(String::as_str).collect();
    insta::assert_snapshot!(files.join("\n"), @r#"
    .well-known/security.txt
    a.js
    css/a.css
    index.html
    manifest.json
    notes.txt
    vendor.min.js
    "#);
    insta::assert_snapshot!(site.files["index.html"], @r#"
    <!doctype html><html><head><link rel=stylesheet href=css/a.css></head><body>
    <p>Hello, world</p>
    <script src=a.js></script>
    </body></html>
    "#);
    assert_eq!(site.files["css/a.css"], "p{color:red}");
    assert_eq!(site.files["a.js"], "let total=3;");
    assert_eq!(site.files["vendor.min.js"], "let  vendored = 1 ;\n");
    assert_eq!(site.files["notes.txt"], "as it  is\n");
    insta::assert_debug_snapshot!(site.attributes, @r#"
    {
        "files": "6",
        "manifest": "manifest.json",
        "minified_bytes_saved": "34",
        "pages": "1",
        "references_checked": "2",
    }
    "#);
    assert!(site.warnings.is_empty());
}

#[test]
fn two_builds_are_the_same() {
    let files = [("index.html", PAGE), ("css/a.css", "a{}"), ("a.js", "1")];
    let first = build(&project(&files), &target()).unwrap();
    let second = build(&project(&files), &target()).unwrap();
    assert_eq!(first.files, second.files);
}

#[test]
fn what_is_minified_can_be_chosen() {
    let files = [
        ("index.html", "<p>a   b</p><style>a { top: 0 }</style>\n"),
        ("a.css", "a { top: 0 }\n"),
        ("kept/b.css", "b { top: 0 }\n"),
        ("a.js", "let a  = 1;\n"),
    ];
    let minify = serde_json::json!({ "html": false, "js": false, "exclude": ["kept"] });
    let site = build(&project(&files), &target().setting("minify", minify)).unwrap();
    assert_eq!(
        site.files["index.html"],
        "<p>a   b</p><style>a{top:0}</style>\n"
    );
    assert_eq!(site.files["a.css"], "a{top:0}");
    assert_eq!(site.files["kept/b.css"], "b { top: 0 }\n");
    assert_eq!(site.files["a.js"], "let a  = 1;\n");
    let site = build(&project(&files), &target().setting("minify", false)).unwrap();
    assert_eq!(site.files["a.css"], "a { top: 0 }\n");
}

#[test]
fn syntax_errors_are_told_with_their_line_all_at_once() {
    let project = project(&[
        (
            "index.html",
            "<p>\n<script>\n  let a = ;\n</script>\n<!-- open",
        ),
        ("a.js", "let b = 1;\nlet b = 2;\n"),
        ("b.css", "a {\n  top: 0;\n}}\n"),
        ("c.html", "<script type=importmap>{,}</script>"),
    ]);
    let problems = build(&project, &target()).unwrap_err();
    insta::assert_snapshot!(render(&problems), @r#"
    error[static.js.syntax] web/a.js:1:5 `b`
      the script has a syntax error: Identifier `b` has already been declared
      help: if it is no script for a browser, leave it out with `exclude`
    warning[static.css.syntax] web/b.css:4:1 ``
      the style sheet is not minified: Unexpected end of input
      help: browsers skip what they don't understand; correct it if it is a mistake
      help: leave the file out with `exclude` in the table `minify` if it is meant
    error[static.json.syntax] web/c.html:1:25 `,`
      this is not JSON
    error[static.js.syntax] web/index.html:3:11 `;`
      the script has a syntax error: Unexpected token
      help: if it is no script for a browser, leave it out with `exclude`
    error[static.html.syntax] web/index.html:5:9 `n`
      the page ends inside of a tag or comment (eof-in-comment)
      help: close it
    "#);
}

#[test]
fn what_is_nested_deeply_does_not_end_the_process() {
    let levels = 3_000;
    let nested = format!("x={}{};", "[".repeat(levels), "]".repeat(levels));
    let sum = format!("x=y{};", "+y".repeat(levels));
    let sheet = format!("a{{b:{}{}}}", "(".repeat(levels), ")".repeat(levels));
    let page = "<script src=a.js></script><script src=b.js></script>";
    let files = [
        ("index.html", page),
        ("a.js", nested.as_str()),
        ("b.js", sum.as_str()),
        ("c.css", sheet.as_str()),
    ];
    build(&project(&files), &target()).unwrap();
}

#[test]
fn what_is_not_utf8_is_copied_with_a_warning() {
    let project = project(&[("index.html", "<p>a</p>")]);
    let latin1 = b"<p>caf\xe9   au lait</p>";
    project.write("web/old.html", latin1).unwrap();
    let site = build(&project, &target()).unwrap();
    assert!(site.files["old.html"].contains("   au lait"));
    insta::assert_snapshot!(render(&site.warnings), @r#"
    warning[static.file.encoding] web/old.html
      `web/old.html` is not UTF-8 text; it is copied as it is
      help: save it as UTF-8, or add it to `exclude` in the table `minify`
    "#);
}

#[test]
fn a_file_named_with_its_digest_stays_as_it_is() {
    let script = "let a  = 1 ;\n";
    let digest = "sha384-8baL/fUSJ2sRgzwHLPUc8Kggi/FrUPmyKASrEb1kYFl9Bz5QlDg92v/39fNnOIBc";
    let page = format!("<script src=\"/js/a.js\" integrity=\"{digest}\"></script>\n");
    let with = |page: &str| project(&[("index.html", page), ("js/a.js", script)]);
    let site = build(&with(&page), &target()).unwrap();
    assert_eq!(site.files["js/a.js"], script);

    let spaced = page.replace("/js/a.js", "js/a%20b.js");
    let files = [("index.html", spaced.as_str()), ("js/a b.js", script)];
    let site = build(&project(&files), &target()).unwrap();
    assert_eq!(site.files["js/a b.js"], script);

    let wrong = page.replace("sha384-", "sha384-A");
    let problems = build(&with(&wrong), &target()).unwrap_err();
    insta::assert_snapshot!(render(&problems), @r#"
    error[static.integrity.wrong] web/index.html:1:14 `/js/a.js`
      no browser takes `/js/a.js`: its integrity attribute is wrong
      help: write integrity="sha384-8baL/fUSJ2sRgzwHLPUc8Kggi/FrUPmyKASrEb1kYFl9Bz5QlDg92v/39fNnOIBc"
    "#);
}

#[test]
fn the_manifest_takes_no_files_place_however_that_is_written() {
    let project = project(&[("index.html", "<p>")]);
    let target = target().setting("manifest", "meta/../index.html");
    let problems = build(&project, &target).unwrap_err();
    assert_eq!(problems[0].code, "static.manifest.taken");
}

#[test]
fn a_needed_target_has_its_place_in_the_site() {
    let project = project(&[("index.html", "<a href=\"downloads/a.whl\">get it</a>")]);
    project.write("dist/api/a.whl", "wheel").unwrap();
    let mounts = serde_json::json!({ "api": "downloads" });
    let target = target().need("api").setting("mounts", mounts);
    let site = build(&project, &target).unwrap();
    assert_eq!(site.files["downloads/a.whl"], "wheel");
}

#[test]
fn links_inside_the_sources_are_followed_and_others_refused() {
    let inside = project(&[("index.html", "<p>"), ("css/a.css", "a{top:0}")]);
    symlink("css", inside.path().join("web/styles")).unwrap();
    let site = build(&inside, &target()).unwrap();
    assert_eq!(site.files["styles/a.css"], "a{top:0}");

    let outside = project(&[("index.html", "<p>")]);
    outside.write("secret.txt", "").unwrap();
    symlink("../secret.txt", outside.path().join("web/a.txt")).unwrap();
    symlink("/etc", outside.path().join("web/etc")).unwrap();
    let problems = build(&outside, &target()).unwrap_err();
    insta::assert_snapshot!(render(&problems), @r#"
    error[static.source.link] web/a.txt
      `web/a.txt` is a symbolic link that leaves `web`, to `../secret.txt`
      help: put a copy there, or exclude it
    error[static.source.link] web/etc
      `web/etc` is a symbolic link that leaves `web`, to `/etc`
      help: put a copy there, or exclude it
    "#);
}
