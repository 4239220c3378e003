//! The image as a whole: configuration, bases, layers, and the same bytes each time.

use std::collections::BTreeMap;
use std::fs;

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::json;

use super::{built, layers, project, target};
use crate::docker_archive;
use crate::testing::build;

#[test]
fn every_instruction_that_configures() {
    let project = project(&[(
        "Dockerfile",
        "ARG VERSION=1.0\n\
         FROM scratch\n\
         ARG VERSION\n\
         ARG PORT=80\n\
         MAINTAINER A. Person\n\
         ENV APP=shop HOME_DIR=\"/srv/my shop\"\n\
         ENV OLD form $APP\n\
         ENV APP=store\n\
         LABEL version=$VERSION \"a b\"='c $APP'\n\
         WORKDIR $HOME_DIR\n\
         WORKDIR sub/./x/..\n\
         USER 1000:1000\n\
         EXPOSE $PORT 53/udp 8000-8001\n\
         VOLUME /data \"/more\"\n\
         SHELL [\"/bin/bash\", \"-c\"]\n\
         ENTRYPOINT run --fast $APP\n\
         CMD [\"--all\"]\n\
         HEALTHCHECK --interval=1m30s --retries=3 CMD check $APP\n\
         STOPSIGNAL SIGINT\n\
         ONBUILD COPY . /app\n",
    )]);
    let target = target()
        .setting("labels", json!({"team": "web"}))
        .setting("platform", "linux/amd64")
        .setting("build_args", json!({"VERSION": 2}));
    let image =
        build(&project, &target, &BTreeMap::new()).unwrap_or_else(|wrong| panic!("{wrong}"));
    let mut config = serde_json::to_value(image.config()).unwrap();
    for entry in config["history"].as_array_mut().unwrap() {
        *entry = entry["created_by"].take();
    }
    config["rootfs"] = json!("layers");
    assert_json_snapshot!(config, @"");
    assert_snapshot!(layers(&image), @"");
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let files = [
        (
            "Dockerfile",
            "FROM scratch AS one\nCOPY d /d\nFROM one\nCOPY d/a /x/\nWORKDIR /w\n",
        ),
        ("d/a", "a"),
        ("d/b", "b"),
    ];
    let (one, two) = (built(&project(&files)), built(&project(&files)));
    assert_eq!(one.bytes(), two.bytes());
    let attribute = |name: &str| one.outcome.attributes["oci.image"][name].clone();
    assert_eq!(attribute("tags"), "image:latest");
    assert_eq!(attribute("layers"), "3");
    let index = fs::read_to_string(one.layout().join("index.json")).unwrap();
    assert!(index.contains(&attribute("image_digest")));

    let mut archives = Vec::new();
    for image in [&one, &two] {
        let mut archive = Vec::new();
        docker_archive(&image.layout(), &mut archive, &["shop:1".into()]).unwrap();
        archives.push(archive);
    }
    assert_eq!(archives[0], archives[1]);
}

#[test]
fn source_date_epoch_is_the_time_of_everything() {
    let project = project(&[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "a")]);
    let target = target().variable("SOURCE_DATE_EPOCH", "1700000000");
    let image =
        build(&project, &target, &BTreeMap::new()).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_snapshot!(layers(&image), @"");
    assert_eq!(
        image.config().created.as_deref(),
        Some("2023-11-14T22:13:20Z")
    );
}

#[test]
fn an_image_begins_with_a_layout_of_the_project_or_of_a_needed_target() {
    let base = project(&[
        (
            "Dockerfile",
            "FROM scratch\nENV KIND=base\nCOPY etc /etc\nCMD [\"base\"]\nWORKDIR /srv\n",
        ),
        ("etc/passwd", "app:x:7:8::/:\n"),
        ("etc/hosts", "h"),
    ]);
    let base = built(&base);
    let project = project(&[
        (
            "Dockerfile",
            "FROM base\nCOPY --chown=app --from=other /etc/hosts ${KIND}-x\nENTRYPOINT [\"run\"]\n",
        ),
        ("a", "a"),
    ]);
    for entry in base.bytes() {
        project
            .write(&format!("images/base/{}", entry.0.display()), entry.1)
            .unwrap();
    }
    let target = target().need("other").setting(
        "build_contexts",
        json!({"base": "oci-layout://images/base"}),
    );
    let other = base.layout();
    let needs = BTreeMap::from([("other", other.as_path())]);
    let image = build(&project, &target, &needs).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_snapshot!(layers(&image), @"");
    let (base, config) = (base.config(), image.config());
    assert!(config.rootfs.diff_ids.starts_with(&base.rootfs.diff_ids));
    assert!(config.history.starts_with(&base.history));
    assert_eq!(
        config.config.cmd, None,
        "an own ENTRYPOINT resets the base's CMD"
    );
    assert_eq!(config.config.working_dir, "/srv");
}

#[test]
fn a_needed_target_that_is_no_image_is_no_base() {
    let needed = tempfile::tempdir().unwrap();
    let project = project(&[("Dockerfile", "FROM api\n")]);
    let needs = BTreeMap::from([("api", needed.path())]);
    let problems = build(&project, &target().need("api"), &needs).err();
    assert_snapshot!(problems.unwrap_or_default(), @"");
}
