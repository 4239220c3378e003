//! `COPY` and `ADD`. The expected layers were compared with those of a Docker engine.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use insta::assert_snapshot;

use super::{built, layers, project, target};
use crate::testing::build;

#[test]
fn files_directories_and_links() {
    let project = project(&[
        (
            "Dockerfile",
            "FROM scratch\n\
             COPY a.txt /c/a\n\
             COPY d /newd\n\
             COPY link /linkcopied\n\
             COPY dlink /dlinkcopied\n\
             COPY a.txt d /deep/down/\n\
             COPY --chmod=751 d /newdm\n\
             COPY --chown=5:6 a.txt /owned/by/\n\
             COPY --chmod=u=rw,go= --chown=7 a.txt /kept\n",
        ),
        ("a.txt", "a"),
        ("d/sub/s.txt", "s"),
        ("d/run.sh", "r"),
    ]);
    let at = |path: &str| project.path().join(path);
    symlink("a.txt", at("link")).unwrap();
    symlink("../a.txt", at("d/l2")).unwrap();
    symlink("d", at("dlink")).unwrap();
    fs::set_permissions(at("d/run.sh"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::create_dir(at("d/empty")).unwrap();
    assert_snapshot!(layers(&built(&project)), @r#"
        755 0:0 @0 c/
        644 0:0 @0 c/a "a"
        --
        755 0:0 @0 newd/
        755 0:0 @0 newd/empty/
        777 0:0 @0 newd/l2 -> ../a.txt
        755 0:0 @0 newd/run.sh "r"
        755 0:0 @0 newd/sub/
        644 0:0 @0 newd/sub/s.txt "s"
        --
        644 0:0 @0 linkcopied "a"
        --
        755 0:0 @0 dlinkcopied/
        755 0:0 @0 dlinkcopied/empty/
        777 0:0 @0 dlinkcopied/l2 -> ../a.txt
        755 0:0 @0 dlinkcopied/run.sh "r"
        755 0:0 @0 dlinkcopied/sub/
        644 0:0 @0 dlinkcopied/sub/s.txt "s"
        --
        755 0:0 @0 deep/
        755 0:0 @0 deep/down/
        644 0:0 @0 deep/down/a.txt "a"
        755 0:0 @0 deep/down/empty/
        777 0:0 @0 deep/down/l2 -> ../a.txt
        755 0:0 @0 deep/down/run.sh "r"
        755 0:0 @0 deep/down/sub/
        644 0:0 @0 deep/down/sub/s.txt "s"
        --
        755 0:0 @0 newdm/
        751 0:0 @0 newdm/empty/
        777 0:0 @0 newdm/l2 -> ../a.txt
        751 0:0 @0 newdm/run.sh "r"
        751 0:0 @0 newdm/sub/
        751 0:0 @0 newdm/sub/s.txt "s"
        --
        755 5:6 @0 owned/
        755 5:6 @0 owned/by/
        644 5:6 @0 owned/by/a.txt "a"
        --
        600 7:7 @0 kept "a"
        "#);
}

#[test]
fn from_another_stage_owners_and_modes_are_kept() {
    let project = project(&[
        (
            "Dockerfile",
            "FROM scratch AS one\n\
             COPY --chown=1000:1001 --chmod=4750 a.txt /x/y/\n\
             COPY passwd group /etc/\n\
             COPY lib /usr/lib\n\
             FROM one AS two\n\
             USER app\n\
             WORKDIR work\n\
             COPY --chown=app:web a.txt .\n\
             FROM scratch\n\
             COPY --from=one /x /from/one\n\
             COPY --from=1 /work /from/two\n\
             COPY --from=one /x/*/a.txt /etc/passwd /flat/\n",
        ),
        ("a.txt", "a"),
        ("passwd", "app:x:1000:1001::/:\n"),
        ("group", "web:x:1002:\n"),
        ("lib/l", "l"),
    ]);
    assert_snapshot!(layers(&built(&project)), @r#"
        755 0:0 @0 from/
        755 0:0 @0 from/one/
        755 1000:1001 @0 from/one/y/
        4750 1000:1001 @0 from/one/y/a.txt "a"
        --
        755 0:0 @0 from/
        755 0:0 @0 from/two/
        644 1000:1002 @0 from/two/a.txt "a"
        --
        755 0:0 @0 flat/
        4750 1000:1001 @0 flat/a.txt "a"
        644 0:0 @0 flat/passwd "app:x:1000:1001::/:\n"
        "#);
}

#[test]
fn a_link_on_the_way_to_the_destination_is_followed() {
    let project = project(&[
        (
            "Dockerfile",
            "FROM scratch\nCOPY tree /\nCOPY a.txt /lib/x\nCOPY --link a.txt /other/\n",
        ),
        ("a.txt", "a"),
        ("tree/usr/lib/l", "l"),
    ]);
    symlink("usr/lib", project.path().join("tree/lib")).unwrap();
    assert_snapshot!(layers(&built(&project)), @r#"
        777 0:0 @0 lib -> usr/lib
        755 0:0 @0 usr/
        755 0:0 @0 usr/lib/
        644 0:0 @0 usr/lib/l "l"
        --
        755 0:0 @0 usr/
        755 0:0 @0 usr/lib/
        644 0:0 @0 usr/lib/x "a"
        --
        755 0:0 @0 other/
        644 0:0 @0 other/a.txt "a"
        "#);
}

#[test]
fn patterns_excludes_parents_and_here_documents() {
    let project = project(&[
        (
            "Dockerfile",
            "FROM scratch\n\
             ARG WHO=world\n\
             COPY *.txt d/[a-c].md /p/\n\
             COPY --exclude=**/*.log --exclude=!keep.log d /e\n\
             COPY --parents d/sub/deep.md x/./d/f /kept/\n\
             COPY --parents **/deep.md /all/\n\
             COPY <<EOF <<'RAW' /h/\n\
             hello $WHO\n\
             EOF\n\
             hello $WHO\n\
             RAW\n",
        ),
        ("a.txt", "a"),
        ("b.txt", "b"),
        ("d/a.md", "a"),
        ("d/z.md", "z"),
        ("d/x.log", "x"),
        ("d/keep.log", "k"),
        ("d/sub/y.log", "y"),
        ("d/sub/deep.md", "deep"),
        ("x/d/f", "f"),
    ]);
    assert_snapshot!(layers(&built(&project)), @r#"
        755 0:0 @0 p/
        644 0:0 @0 p/a.md "a"
        644 0:0 @0 p/a.txt "a"
        644 0:0 @0 p/b.txt "b"
        --
        755 0:0 @0 e/
        644 0:0 @0 e/a.md "a"
        644 0:0 @0 e/keep.log "k"
        755 0:0 @0 e/sub/
        644 0:0 @0 e/sub/deep.md "deep"
        644 0:0 @0 e/z.md "z"
        --
        755 0:0 @0 kept/
        755 0:0 @0 kept/d/
        644 0:0 @0 kept/d/f "f"
        755 0:0 @0 kept/d/sub/
        644 0:0 @0 kept/d/sub/deep.md "deep"
        --
        755 0:0 @0 all/
        755 0:0 @0 all/d/
        755 0:0 @0 all/d/sub/
        644 0:0 @0 all/d/sub/deep.md "deep"
        --
        755 0:0 @0 h/
        644 0:0 @0 h/EOF "hello world\n"
        644 0:0 @0 h/RAW "hello $WHO\n"
        "#);
}

#[test]
fn archives_are_unpacked_by_add_alone() {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o640);
    header.set_uid(5);
    header.set_gid(6);
    header.set_mtime(77);
    header.set_size(1);
    archive.append_data(&mut header, "in/f", &b"f"[..]).unwrap();
    let mut link = header.clone();
    link.set_entry_type(tar::EntryType::Link);
    link.set_size(0);
    archive.append_link(&mut link, "in/g", "in/f").unwrap();
    let archive = archive.into_inner().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, &archive).unwrap();
    let mut bzip = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    std::io::Write::write_all(&mut bzip, &archive).unwrap();

    let project = project(&[
        (
            "Dockerfile",
            "FROM scratch\nADD x.tgz /gz\nADD x.bz2 /bz/\nADD plain.gz /plain\nADD --unpack=false --chmod=600 x.tgz /kept/\n",
        ),
        ("plain.gz", "not compressed"),
    ]);
    let gzip = gzip.finish().unwrap();
    project.write("x.tgz", &gzip).unwrap();
    project.write("x.bz2", bzip.finish().unwrap()).unwrap();
    let image = built(&project);
    let copied = image.layers().pop().unwrap_or_default().join("\n");
    assert_snapshot!(image.layers()[..3].concat().join("\n"), @r#"
        755 0:0 @0 gz/
        755 0:0 @0 gz/in/
        640 5:6 @0 gz/in/f "f"
        640 5:6 @0 gz/in/g "f"
        755 0:0 @0 bz/
        755 0:0 @0 bz/in/
        640 5:6 @0 bz/in/f "f"
        640 5:6 @0 bz/in/g "f"
        644 0:0 @0 plain "not compressed"
        "#);
    assert!(copied.contains("600 0:0 @0 kept/x.tgz"), "{copied}");

    project.write("x.tgz", &gzip[..gzip.len() - 9]).unwrap();
    let problems = build(&project, &target(), &BTreeMap::new()).err();
    let problems = problems.unwrap_or_default();
    assert!(
        problems.starts_with("error[docker.add.archive]: the archive `x.tgz` can't be unpacked"),
        "{problems}"
    );
}

#[test]
fn needed_targets_and_build_contexts_have_names() {
    let needed = tempfile::tempdir().unwrap();
    fs::write(needed.path().join("api-1.0.whl"), "wheel").unwrap();
    let project = project(&[
        (
            "deploy/Dockerfile",
            "FROM scratch\nCOPY --from=api *.whl /srv/\nCOPY --from=assets img /srv/img/\n",
        ),
        ("shared/assets/img/logo.svg", "svg"),
        ("shared/assets/other", "o"),
    ]);
    let target = synth_core::TargetSpec {
        source_path: synth_core::ProjectPath::parse("deploy").unwrap(),
        ..target()
    }
    .need("api")
    .setting(
        "build_contexts",
        serde_json::json!({"assets": "shared/assets"}),
    );
    let needs = BTreeMap::from([("api", needed.path())]);
    let image = build(&project, &target, &needs).unwrap_or_else(|problems| panic!("{problems}"));
    assert_snapshot!(layers(&image), @r#"
        755 0:0 @0 srv/
        644 0:0 @0 srv/api-1.0.whl "wheel"
        --
        755 0:0 @0 srv/
        755 0:0 @0 srv/img/
        644 0:0 @0 srv/img/logo.svg "svg"
        "#);
}

#[test]
fn problems_that_only_the_build_can_see() {
    for (dockerfile, expected) in [
        (
            "FROM scratch AS one\nCOPY a.txt /x\nFROM scratch\nCOPY --from=one /y /y\n",
            "error[docker.copy.missing]: there is no `/y` in stage `one`\n  Dockerfile:4 | COPY --from=one /y /y\n",
        ),
        (
            "FROM scratch\nCOPY --chown=app a.txt /x\n",
            "error[docker.user.unknown]: `app` can't be looked up: the stage has no /etc/passwd\n  Dockerfile:2 | COPY --chown=app a.txt /x\n  help: use numbers, `1000:1000`, or copy files that have the names first\n",
        ),
        (
            "FROM scratch\nCOPY a.txt /x\nCOPY a.txt /x/y\n",
            "error[docker.copy.destination]: `/x` is not a directory\n  Dockerfile:3 | COPY a.txt /x/y\n",
        ),
        (
            "FROM scratch\nCOPY a.txt /x/y\nCOPY a.txt /x/y/\n",
            "error[docker.copy.destination]: `/x/y` is there already and is not a directory\n  Dockerfile:3 | COPY a.txt /x/y/\n  help: copy to another place\n",
        ),
        (
            "FROM scratch\nCOPY a.txt /.wh.x\n",
            "error[docker.copy.whiteout]: `/.wh.x` can't be in an image: names that begin with `.wh.` mark what a layer removes\n  Dockerfile:2 | COPY a.txt /.wh.x\n  help: give the file another name\n",
        ),
    ] {
        let project = project(&[("Dockerfile", dockerfile), ("a.txt", "a")]);
        let problems = build(&project, &target(), &BTreeMap::new()).err();
        assert_eq!(problems.as_deref(), Some(expected), "{dockerfile}");
    }
}
