//! The keys of a static target in synth.toml.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::Command;

/// Settings of a static site.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// How the site is built: `native` copies the source directory as it is, `command` runs
    /// `build_command`. `command` when there is a `build_command`, else `native`.
    pub(crate) builder: Option<Builder>,

    /// The command that builds the site, run in the source directory without network: a text for
    /// the shell (`"npm run build"`) or a list of program and arguments (`["hugo", "--minify"]`).
    /// What the needed targets export is in the directories that `SYNTH_OUT_<NAME>` name.
    pub(crate) build_command: Option<Command>,

    /// The command that fetches what `build_command` needs, run before it and with network:
    /// `"npm ci"`. It sees `install_inputs` alone, so that an edit elsewhere does not run it
    /// again.
    pub(crate) install_command: Option<Command>,

    /// The directory below the source directory that `build_command` writes the site to: `dist`,
    /// `build`, `public`, `_site`. Guessed from the site generator when it is known (Vite, Astro,
    /// Hugo, MkDocs, ..).
    pub(crate) build_output: Option<String>,

    /// Globs of the files that `install_command` reads. For Node packages: package.json, lock
    /// files and the package manager's configuration (everything, when package.json has scripts
    /// that run on installation). Otherwise everything.
    pub(crate) install_inputs: Option<Vec<String>>,

    /// The directories that `install_command` leaves for `build_command`. For Node packages
    /// `node_modules`.
    pub(crate) install_outputs: Option<Vec<String>>,

    /// Variables of your environment that the commands see; their values are not part of what
    /// decides whether a command runs again. A name may end in `*`.
    #[serde(default)]
    pub(crate) pass_environment: Vec<String>,

    /// Globs of the files that belong to the site (`native`) or that `build_command` reads;
    /// everything when not set.
    #[serde(default)]
    pub(crate) include: Vec<String>,

    /// Globs of files that don't, beside those that never do (`.git*`, `.env*`, `node_modules`,
    /// editors' files and, for `native`, package.json and lock files).
    #[serde(default)]
    pub(crate) exclude: Vec<String>,

    /// Places in the site for what needed targets export: `mounts = { api = "downloads" }`.
    #[serde(default)]
    pub(crate) mounts: BTreeMap<String, String>,

    /// Whether HTML, CSS and JavaScript are made smaller, or a table that says which:
    /// `{ html = true, css = true, js = false, exclude = ["vendor"] }`. On for `native`, off for
    /// `command`.
    pub(crate) minify: Option<Minify>,

    /// Whether links, anchors and references to assets inside the site are checked: `true` (or
    /// `"internal"`), `"warn"`, or `false`. Links to other hosts are never fetched.
    #[serde(default)]
    pub(crate) check_links: CheckLinks,

    /// Globs of links that are not checked, matched against the text of the link and against the
    /// path it leads to: `["/api/**", "legacy/*.html"]`.
    #[serde(default)]
    pub(crate) ignore_links: Vec<String>,

    /// The path under which the site is served, for links that begin with `/`: `/docs/`. `/`, or
    /// the path of `site_url`, when not set.
    pub(crate) base_path: Option<String>,

    /// Where the site is served: `https://shop.example/docs/`. Links to that address, and
    /// sitemap.xml, are then checked as links inside the site.
    pub(crate) site_url: Option<String>,

    /// What a server answers with for a directory.
    #[serde(default = "default_index_files")]
    pub(crate) index_files: Vec<String>,

    /// Whether the server answers `/about` with `about.html`. Off for `native`, on for `command`.
    pub(crate) clean_urls: Option<bool>,

    /// The file that lists every file of the site with its digest, size and subresource
    /// integrity: a path in the site, or `false` for none. `manifest.json` when not set, or
    /// `site-manifest.json` when the site has a manifest.json of its own.
    #[serde(default)]
    pub(crate) manifest: ManifestSetting,
}

/// How the site is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Builder {
    /// The source directory is the site.
    Native,
    /// A command makes the site.
    Command,
}

/// What is made smaller.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Minify {
    /// All of it, or nothing.
    All(bool),
    /// What is said.
    Some(MinifyTable),
}

/// Which kinds of files are made smaller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MinifyTable {
    /// HTML pages. White space between words and elements is reduced, never removed.
    #[serde(default = "yes")]
    pub(crate) html: bool,
    /// Style sheets, those in pages too.
    #[serde(default = "yes")]
    pub(crate) css: bool,
    /// Scripts, those in pages too.
    #[serde(default = "yes")]
    pub(crate) js: bool,
    /// Globs of files that stay as they are. `*.min.*` always does.
    #[serde(default)]
    pub(crate) exclude: Vec<String>,
}

/// How references are checked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum CheckLinks {
    /// Whether they are.
    Switch(bool),
    /// How.
    Mode(CheckMode),
}

/// What becomes of a broken reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CheckMode {
    /// An error.
    Internal,
    /// A warning.
    Warn,
}

/// Where the list of the site's files goes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ManifestSetting {
    /// Whether there is one.
    Switch(bool),
    /// Its path in the site.
    Path(String),
}

impl Settings {
    pub(crate) fn builder(&self) -> Builder {
        self.builder.unwrap_or(match self.build_command {
            Some(_) => Builder::Command,
            None => Builder::Native,
        })
    }

    /// What is made smaller; none when nothing is.
    pub(crate) fn minify(&self) -> Option<MinifyTable> {
        let everything = MinifyTable {
            html: true,
            css: true,
            js: true,
            exclude: Vec::new(),
        };
        let table = match &self.minify {
            Some(Minify::Some(table)) => table.clone(),
            Some(Minify::All(true)) => everything,
            Some(Minify::All(false)) => return None,
            None if self.builder() == Builder::Native => everything,
            None => return None,
        };
        (table.html || table.css || table.js).then_some(table)
    }

    pub(crate) fn check_mode(&self) -> Option<CheckMode> {
        match self.check_links {
            CheckLinks::Switch(true) => Some(CheckMode::Internal),
            CheckLinks::Switch(false) => None,
            CheckLinks::Mode(mode) => Some(mode),
        }
    }

    pub(crate) fn clean_urls(&self) -> bool {
        self.clean_urls
            .unwrap_or(self.builder() == Builder::Command)
    }
}

impl Default for CheckLinks {
    fn default() -> Self {
        Self::Switch(true)
    }
}

impl Default for ManifestSetting {
    fn default() -> Self {
        Self::Switch(true)
    }
}

fn default_index_files() -> Vec<String> {
    vec!["index.html".into(), "index.htm".into()]
}

fn yes() -> bool {
    true
}
