//! Complex numbers as planes: their real and imaginary parts become values of their own.

/// The shape of the values of a complex array of the shape `stored`: an image becomes two planes, those of its coils one after
/// the other. Without images, the imaginary parts of a row follow its real ones.
pub fn shape(stored: &[usize]) -> Vec<usize> {
    match stored {
        [] => vec![2],
        [n] => vec![*n, 2],
        [n, m] => vec![*n, 2 * m],
        [n, coils @ .., height, width] => vec![*n, 2 * coils.iter().product::<usize>(), *height, *width],
    }
}

/// The parts of an array of the shape `stored`, whose complex numbers follow one another, in the order of [`shape`].
pub fn planes(values: &[f32], stored: &[usize]) -> Vec<f32> {
    let plane = match stored {
        [] | [_] => 1,
        [_, m] => *m,
        [.., height, width] => height * width,
    };
    let part = |plane: &[f32], which: usize| plane[which..].iter().step_by(2).copied().collect::<Vec<_>>();
    values.chunks(2 * plane.max(1)).flat_map(|plane| [part(plane, 0), part(plane, 1)]).flatten().collect()
}
