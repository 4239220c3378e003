//! What the files of a source directory say about the tool chain that builds it: package.json,
//! lock files, and the configuration of site generators.

use serde_json::{Map, Value};
use synth_core::{Diagnostic, PlanContext, PlanError, ProjectPath, SourceFiles};

/// Packages that build sites and the directory each writes to. A framework stands before the
/// bundler it is made of.
const GENERATORS: [(&str, &str); 24] = [
    ("next", "out"),
    ("@docusaurus/core", "build"),
    ("@sveltejs/kit", "build"),
    ("astro", "dist"),
    ("nuxt", ".output/public"),
    ("gatsby", "public"),
    ("@11ty/eleventy", "_site"),
    ("hexo", "public"),
    ("vitepress", ".vitepress/dist"),
    ("vuepress", ".vuepress/dist"),
    ("@rspress/core", "doc_build"),
    ("rspress", "doc_build"),
    ("react-scripts", "build"),
    ("@vue/cli-service", "dist"),
    ("preact-cli", "build"),
    ("@rsbuild/core", "dist"),
    ("vite", "dist"),
    ("rolldown-vite", "dist"),
    ("parcel", "dist"),
    ("parcel-bundler", "dist"),
    ("@rspack/core", "dist"),
    ("webpack", "dist"),
    ("esbuild", "dist"),
    ("rollup", "dist"),
];

/// Generators without a package.json: configuration files, name, command, output directory and
/// the key that says another one.
const CONFIGURED: [(&[&str], &str, &str, &str, &str); 7] = [
    (
        &["hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json"],
        "Hugo",
        "hugo --minify",
        "public",
        "publishDir",
    ),
    (
        &["mkdocs.yml", "mkdocs.yaml"],
        "MkDocs",
        "mkdocs build",
        "site",
        "site_dir",
    ),
    (
        &["zensical.toml"],
        "Zensical",
        "zensical build",
        "site",
        "site_dir",
    ),
    (
        &["book.toml"],
        "mdBook",
        "mdbook build",
        "book",
        "build-dir",
    ),
    (
        &["_config.yml"],
        "Jekyll",
        "jekyll build",
        "_site",
        "destination",
    ),
    (
        &["config.toml", "config.yaml", "config/_default/hugo.toml"],
        "Hugo",
        "hugo --minify",
        "public",
        "publishDir",
    ),
    (
        &["pelicanconf.py"],
        "Pelican",
        "pelican content",
        "output",
        "OUTPUT_PATH",
    ),
];

/// Lock files, what installs from them and what builds.
const LOCK_FILES: [(&str, &str, &str); 7] = [
    ("package-lock.json", "npm ci", "npm run build"),
    ("npm-shrinkwrap.json", "npm ci", "npm run build"),
    (
        "pnpm-lock.yaml",
        "pnpm install --frozen-lockfile",
        "pnpm run build",
    ),
    ("yarn.lock", "yarn install --frozen-lockfile", "yarn build"),
    ("bun.lock", "bun install --frozen-lockfile", "bun run build"),
    (
        "bun.lockb",
        "bun install --frozen-lockfile",
        "bun run build",
    ),
    ("deno.lock", "deno install --frozen", "deno task build"),
];

/// Files beside package.json that decide what a package manager installs.
const INSTALL_FILES: [&str; 14] = [
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
    "deno.lock",
    "{.npmrc,.yarnrc,.yarnrc.yml,.pnpmfile.cjs,bunfig.toml}",
    "pnpm-workspace.yaml",
    ".yarn/**",
    "patches/**",
    "{.nvmrc,.node-version,.tool-versions}",
    "deno.json",
];

/// Scripts that a package manager runs when it installs.
const INSTALL_SCRIPTS: [&str; 5] = [
    "preinstall",
    "install",
    "postinstall",
    "prepare",
    "prepublish",
];

/// A site generator that was recognized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Generator {
    /// Its name, for people.
    pub(crate) name: String,
    /// The command that builds with it.
    pub(crate) build_command: String,
    /// The command that fetches it.
    pub(crate) install_command: Option<String>,
    /// The directory it writes to.
    pub(crate) build_output: String,
    /// The file that gave it away.
    pub(crate) found_in: String,
}

/// What package.json says.
pub(crate) struct Package {
    fields: Map<String, Value>,
}

impl Package {
    /// The package.json of a directory; none when there is none.
    ///
    /// # Errors
    /// When it can't be read or is not a JSON object.
    pub(crate) fn read(
        directory: &ProjectPath,
        context: &dyn PlanContext,
    ) -> Result<Option<Self>, Diagnostic> {
        let Ok(path) = directory.join("package.json") else {
            return Ok(None);
        };
        let text = match context.read_text(&path) {
            Ok(text) => text,
            Err(PlanError::NotFound { .. }) => return Ok(None),
            Err(error) => {
                let message = format!("`{path}` can't be read");
                return Err(Diagnostic::error("static.package.unreadable", message)
                    .in_file(path.as_str())
                    .caused_by(&error));
            }
        };
        match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
            Ok(Value::Object(fields)) => Ok(Some(Self { fields })),
            Ok(_) => Err(Diagnostic::error(
                "static.package.malformed",
                format!("`{path}` is not a JSON object"),
            )
            .in_file(path.as_str())),
            Err(error) => {
                let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
                let line_text = text.lines().nth(error.line().saturating_sub(1));
                Err(
                    Diagnostic::error("static.package.malformed", "package.json is not JSON")
                        .at_line(path.as_str(), line, line_text.unwrap_or_default())
                        .cause(error.to_string()),
                )
            }
        }
    }

    /// Its name without the scope.
    pub(crate) fn name(&self) -> Option<&str> {
        let name = self.fields.get("name")?.as_str()?;
        name.rsplit('/').next().filter(|name| !name.is_empty())
    }

    /// The command of a script.
    pub(crate) fn script(&self, name: &str) -> Option<&str> {
        self.fields.get("scripts")?.get(name)?.as_str()
    }

    fn depends_on(&self, package: &str) -> bool {
        self.dependencies().any(|(name, _)| name == package)
    }

    fn dependencies(&self) -> impl Iterator<Item = (&String, &Value)> {
        ["dependencies", "devDependencies", "optionalDependencies"]
            .into_iter()
            .filter_map(|table| self.fields.get(table)?.as_object())
            .flatten()
    }

    /// Whether an installation reads more of the project than lock files: it runs scripts, or
    /// takes packages from directories.
    fn installs_from_sources(&self) -> bool {
        INSTALL_SCRIPTS
            .iter()
            .any(|script| self.script(script).is_some())
            || self.dependencies().any(|(_, version)| {
                let version = version.as_str().unwrap_or_default();
                version.starts_with("file:") || version.starts_with("link:")
            })
    }

    fn has_workspaces(&self) -> bool {
        self.fields.contains_key("workspaces")
    }
}

/// The site generator of a directory, when its files tell.
pub(crate) fn generator(
    directory: &ProjectPath,
    package: Option<&Package>,
    context: &dyn PlanContext,
) -> Option<Generator> {
    let from_package = package.and_then(|package| node_generator(directory, package, context));
    from_package.or_else(|| configured_generator(directory, context))
}

fn node_generator(
    directory: &ProjectPath,
    package: &Package,
    context: &dyn PlanContext,
) -> Option<Generator> {
    package.script("build")?;
    let (name, output) = GENERATORS
        .iter()
        .find(|(name, _)| package.depends_on(name))?;
    let (install, build) = LOCK_FILES
        .iter()
        .find(|(file, ..)| exists(directory, file, context))
        .map_or(("npm install", "npm run build"), |(_, install, build)| {
            (*install, *build)
        });
    // Yarn 2 and later have another word for it.
    let install = if install.starts_with("yarn") && exists(directory, ".yarnrc.yml", context) {
        "yarn install --immutable"
    } else {
        install
    };
    Some(Generator {
        name: (*name).to_owned(),
        build_command: build.to_owned(),
        install_command: Some(install.to_owned()),
        build_output: (*output).to_owned(),
        found_in: "package.json".to_owned(),
    })
}

fn configured_generator(directory: &ProjectPath, context: &dyn PlanContext) -> Option<Generator> {
    CONFIGURED
        .iter()
        .find_map(|(files, name, command, output, key)| {
            let file = files.iter().find(|file| exists(directory, file, context))?;
            let text = context.read_text(&directory.join(file).ok()?).ok()?;
            // Names that other programs use too.
            let shared = file.starts_with("config.") && !text.contains("baseURL");
            if shared {
                return None;
            }
            let said = configured_value(&text, key);
            Some(Generator {
                name: (*name).to_owned(),
                build_command: (*command).to_owned(),
                install_command: None,
                build_output: said.unwrap_or_else(|| (*output).to_owned()),
                found_in: (*file).to_owned(),
            })
        })
}

/// The value of a key in a line `key: value` or `key = "value"`, whichever the format.
fn configured_value(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix(key)?.trim_start();
        let value = rest.strip_prefix([':', '='])?;
        let value = value.split('#').next().unwrap_or(value).trim();
        let value = value.trim_matches(['"', '\'', ',']).trim_end_matches('/');
        (!value.is_empty()).then(|| value.to_owned())
    })
}

/// What an installation reads and leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installation {
    /// Globs of the files it reads; empty for everything.
    pub(crate) inputs: Vec<String>,
    /// Directories it leaves.
    pub(crate) outputs: Vec<String>,
}

/// What a Node package manager reads and leaves in a directory with this package.json.
pub(crate) fn node_installation(
    directory: &ProjectPath,
    package: &Package,
    context: &dyn PlanContext,
) -> Installation {
    let workspaces = package.has_workspaces() || exists(directory, "pnpm-workspace.yaml", context);
    let mut outputs = vec!["node_modules".to_owned()];
    let mut inputs: Vec<String> = INSTALL_FILES.map(Into::into).into();
    if workspaces {
        inputs.push("**/package.json".into());
        let packages = SourceFiles::below(directory.clone())
            .include(["**/package.json"])
            .exclude(["**/node_modules"]);
        let packages = context.files(&packages).unwrap_or_default();
        let members = packages
            .iter()
            .filter_map(|path| path.strip_suffix("/package.json"));
        outputs.extend(members.map(|member| format!("{member}/node_modules")));
    }
    if package.installs_from_sources() {
        inputs.clear();
    }
    Installation { inputs, outputs }
}

pub(crate) fn exists(directory: &ProjectPath, file: &str, context: &dyn PlanContext) -> bool {
    directory.join(file).is_ok_and(|path| context.exists(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_from_any_configuration_format() {
        for (text, key, value) in [
            (
                "site_name: x\nsite_dir: out/ # there\n",
                "site_dir",
                Some("out"),
            ),
            ("publishDir = \"www\"", "publishDir", Some("www")),
            ("{\n  \"a\": 1\n}", "publishDir", None),
        ] {
            assert_eq!(configured_value(text, key).as_deref(), value, "{text}");
        }
    }
}
