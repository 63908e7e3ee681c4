//! The files of a crate, found from its root through its `mod` declarations, and their imports of each other.

use crate::source::{Found, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module's path from the root of its crate; empty for the root.
pub type Module = Vec<String>;

/// One file that imports another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    pub from: Module,
    pub to: Module,
    /// Line of the first import.
    pub line: usize,
}

/// A crate's modules that are files of their own.
pub struct Crate {
    /// File of each module, from the directory of the root.
    pub files: BTreeMap<Module, PathBuf>,
    sources: BTreeMap<Module, Source>,
}

/// Where a path ends.
enum End {
    /// A module.
    Module(Module),
    /// Something that a module's file defines.
    Item(Module),
}

impl Crate {
    /// Reads the crate whose root is `root` in `dir`; `read` returns the text of a file, if there is one.
    pub fn read(root: &str, read: &dyn Fn(&Path) -> Option<String>) -> Self {
        let mut found = Self { files: BTreeMap::new(), sources: BTreeMap::new() };
        found.add(Vec::new(), PathBuf::from(root), read);
        found
    }

    /// Reads the crate whose root is the file `root`.
    pub fn open(root: &Path) -> Self {
        let (dir, name) = (root.parent().unwrap_or(root), root.file_name().unwrap_or_default());
        Self::read(&name.to_string_lossy(), &|path| std::fs::read_to_string(dir.join(path)).ok())
    }

    fn add(&mut self, module: Module, file: PathBuf, read: &dyn Fn(&Path) -> Option<String>) {
        let source = Source::parse(&read(&file).unwrap_or_else(|| panic!("no file {}", file.display())));
        let folder = match file.file_stem().and_then(|stem| stem.to_str()) {
            Some("mod" | "lib" | "main") => file.parent().unwrap_or(Path::new("")).to_path_buf(),
            _ => file.with_extension(""),
        };
        for (name, path) in source.modules.clone() {
            let candidates = match path {
                Some(path) => vec![file.parent().unwrap_or(Path::new("")).join(path)],
                None => vec![folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")],
            };
            let place = candidates.iter().find(|path| read(path).is_some());
            let place = place.unwrap_or_else(|| panic!("{}: no file for mod {name}", file.display()));
            self.add([module.clone(), vec![name]].concat(), place.clone(), read);
        }
        self.files.insert(module.clone(), file);
        self.sources.insert(module, source);
    }

    /// Returns the imports between files, in order.
    pub fn imports(&self) -> Vec<Import> {
        let mut found: BTreeMap<(Module, Module), usize> = BTreeMap::new();
        for (from, source) in &self.sources {
            for path in &source.paths {
                for to in self.targets(from, path) {
                    if to != *from {
                        found.entry((from.clone(), to)).or_insert(path.line);
                    }
                }
            }
        }
        found.into_iter().map(|((from, to), line)| Import { from, to, line }).collect()
    }

    /// The files that one path of `from` depends on.
    fn targets(&self, from: &Module, found: &Found) -> Vec<Module> {
        // `pub use child::Thing` re-exports a child's name, which is a declaration like `mod child;`.
        let own = |to: &Module| found.public && to.len() > from.len() && to.starts_with(from);
        let end = self.resolve(from, &found.path, &mut BTreeSet::new());
        match (end, &found.alias) {
            // What is used of the module is found at the place of use.
            (Some(End::Module(_)), Some(alias)) if alias != "*" => Vec::new(),
            (Some(End::Module(to) | End::Item(to)), _) if !own(&to) => vec![to],
            _ => Vec::new(),
        }
    }

    /// Where the path `segments`, written in `from`, ends; `None` outside of this crate.
    fn resolve(&self, from: &Module, segments: &[String], seen: &mut BTreeSet<(Module, String)>) -> Option<End> {
        let (mut at, mut rest) = (from.clone(), segments);
        match segments.first()?.as_str() {
            "crate" => (at, rest) = (Vec::new(), &segments[1..]),
            "self" => rest = &segments[1..],
            "super" => {}
            name if !self.names(from, name) => return None,
            _ => {}
        }
        while rest.first().is_some_and(|segment| segment == "super") {
            at.pop()?;
            rest = &rest[1..];
        }
        self.descend(at, rest, seen)
    }

    /// Whether `name` refers to an item of this crate in the scope of `module`.
    fn names(&self, module: &Module, name: &str) -> bool {
        let child = [module.clone(), vec![name.to_string()]].concat();
        let imported = |found: &Found| found.alias.as_deref() == Some(name);
        self.files.contains_key(&child) || self.sources[module].paths.iter().any(imported)
    }

    fn descend(&self, at: Module, rest: &[String], seen: &mut BTreeSet<(Module, String)>) -> Option<End> {
        let Some(name) = rest.first().filter(|name| *name != "*") else { return Some(End::Module(at)) };
        let child = [at.clone(), vec![name.clone()]].concat();
        if self.files.contains_key(&child) {
            return self.descend(child, &rest[1..], seen);
        }
        if !seen.insert((at.clone(), name.clone())) {
            return None;
        }
        let source = &self.sources[&at];
        if source.items.contains(name) {
            return Some(End::Item(at));
        }
        if let Some(found) = source.paths.iter().find(|found| found.alias.as_ref() == Some(name)) {
            return match self.resolve(&at, &found.path, seen)? {
                End::Module(module) => self.descend(module, &rest[1..], seen),
                item => Some(item),
            };
        }
        let globs = source.paths.iter().filter(|found| found.alias.as_deref() == Some("*"));
        let through = globs.filter_map(|glob| match self.resolve(&at, &glob.path, seen)? {
            End::Module(module) if self.defines(&module, name) => self.descend(module, rest, &mut seen.clone()),
            _ => None,
        });
        through.collect::<Vec<End>>().into_iter().next().or(Some(End::Item(at)))
    }

    /// Whether a glob of `module` brings `name` in.
    fn defines(&self, module: &Module, name: &str) -> bool {
        let source = &self.sources[module];
        let child = [module.clone(), vec![name.to_string()]].concat();
        source.items.contains(name)
            || self.files.contains_key(&child)
            || source.paths.iter().any(|found| found.public && found.alias.as_deref() == Some(name))
    }
}
