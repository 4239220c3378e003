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
    assert_snapshot!(layers(&built(&project)), @"");
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
    assert_snapshot!(layers(&built(&project)), @"");
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
    assert_snapshot!(layers(&built(&project)), @"");
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
    assert_snapshot!(layers(&built(&project)), @"");
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
    project.write("x.tgz", gzip.finish().unwrap()).unwrap();
    project.write("x.bz2", bzip.finish().unwrap()).unwrap();
    let image = built(&project);
    let layers = image.layers();
    assert_snapshot!(layers[..3].concat().join("\n"), @"");
    let copied = layers[3][1]
        .split(' ')
        .take(4)
        .collect::<Vec<_>>()
        .join(" ");
    assert_snapshot!(copied, @"");
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
    assert_snapshot!(layers(&image), @"");
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
