//! The same sources give the same bytes, wherever and whenever they are built.

use crate::workspace::Workspace;

#[test]
fn two_builds_from_empty_caches_are_byte_for_byte_the_same() {
    let digests = || {
        let workspace = Workspace::with_example("storefront");
        workspace.build([""; 0]).succeeded();
        ["dist/api", "dist/site", "dist/image"].map(|path| workspace.digest(path).unwrap())
    };
    assert_eq!(digests(), digests());
}

#[test]
fn another_checkout_takes_results_from_the_cache() {
    let first = Workspace::with_example("storefront");
    first.build([""; 0]).succeeded();
    let second = Workspace::with_example("storefront").sharing_cache_of(&first);
    let report = second.build([""; 0]).succeeded();
    assert_eq!(report.executed(), [] as [String; 0]);
    assert_eq!(report.statuses(), "api cached, site cached, image cached");
    assert_eq!(first.digest("dist"), second.digest("dist"));
}
