//! The two rules: no circle of files, no import up a floor.

use crate::crates::{Crate, Import, Module};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Rooms from the lowest floor to the highest; those of one floor may import each other. A room is a path of
/// modules such as `conditioning::standardizer`; the longest one that contains a file counts.
pub type Floors<'f> = &'f [&'f [&'f str]];

/// The name of a module's room: its path, or that of the root.
fn name(module: &Module, root: &str) -> String {
    if module.is_empty() { root.to_string() } else { module.join("::") }
}

/// The floor of a module and the name of its room.
fn floor_of<'f>(floors: Floors<'f>, module: &Module, root: &str) -> Option<(usize, &'f str)> {
    let own = name(module, root);
    let holds = |room: &str| own == room || own.strip_prefix(room).is_some_and(|rest| rest.starts_with("::"));
    let rooms = floors.iter().enumerate().flat_map(|(floor, rooms)| rooms.iter().map(move |room| (floor, *room)));
    rooms.filter(|(_, room)| holds(room)).max_by_key(|(_, room)| room.len())
}

/// Returns the violations of the floors by a crate whose root is called `root`: imports that run upward and
/// files without a floor.
pub fn upward(found: &Crate, floors: Floors<'_>, root: &str) -> Vec<String> {
    let homeless = found.files.iter().filter(|(module, _)| floor_of(floors, module, root).is_none());
    let mut wrong: Vec<String> = homeless.map(|(_, file)| format!("{}: has no floor", file.display())).collect();
    for Import { from, to, line } in found.imports() {
        if let (Some((low, room)), Some((high, above))) = (floor_of(floors, &from, root), floor_of(floors, &to, root))
            && low < high
        {
            let (file, target) = (found.files[&from].display(), found.files[&to].display());
            wrong.push(format!("{file}:{line}: {room} (floor {low}) imports {target} of {above} (floor {high})"));
        }
    }
    wrong
}

/// The circles of files, each as `a.rs -> b.rs -> a.rs`: the shortest one of every group of connected
/// circles.
pub fn circles(found: &Crate) -> Vec<String> {
    let mut next: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for Import { from, to, .. } in found.imports() {
        next.entry(from).or_default().insert(to);
    }
    let (mut told, mut circles): (BTreeSet<Module>, Vec<String>) = (BTreeSet::new(), Vec::new());
    let shortest = next.keys().filter_map(|module| Some((circle(&next, module)?, module.clone())));
    let mut shortest: Vec<(Vec<Module>, Module)> = shortest.collect();
    shortest.sort_by_key(|(circle, _)| circle.len());
    for (circle, _) in shortest {
        if circle.iter().any(|module| told.contains(module)) {
            continue;
        }
        let names: Vec<String> = circle.iter().map(|module| found.files[module].display().to_string()).collect();
        told.extend(circle);
        circles.push(names.join(" -> "));
    }
    circles
}

/// The shortest circle through `start`, which is its first and its last module.
fn circle(next: &BTreeMap<Module, BTreeSet<Module>>, start: &Module) -> Option<Vec<Module>> {
    let mut before: BTreeMap<&Module, &Module> = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(at) = waiting.pop_front() {
        for to in next.get(at).into_iter().flatten() {
            if to == start {
                let mut path = vec![start.clone(), at.clone()];
                while path[path.len() - 1] != *start {
                    path.push(before[&path[path.len() - 1]].clone());
                }
                path.reverse();
                return Some(path);
            }
            if !before.contains_key(to) {
                before.insert(to, at);
                waiting.push_back(to);
            }
        }
    }
    None
}
