//! Upsampling of images by a factor of two.

/// Repeats every pixel of `c` values, in rows of `width` pixels, as 2 x 2 pixels.
pub fn upsampled(x: &[f32], c: usize, width: usize) -> Vec<f32> {
    let mut y = Vec::with_capacity(4 * x.len());
    for row in x.chunks_exact(width * c) {
        let start = y.len();
        for pixel in row.chunks_exact(c) {
            y.extend_from_slice(pixel);
            y.extend_from_slice(pixel);
        }
        y.extend_from_within(start..);
    }
    y
}

/// The transpose of [`upsampled`].
pub fn upsampled_backward(dy: &[f32], c: usize, width: usize) -> Vec<f32> {
    let mut dx = vec![0.0; dy.len() / 4];
    for (dx, rows) in dx.chunks_exact_mut(width * c).zip(dy.chunks_exact(4 * width * c)) {
        for row in rows.chunks_exact(2 * width * c) {
            for (dx, pair) in dx.chunks_exact_mut(c).zip(row.chunks_exact(2 * c)) {
                let (left, right) = pair.split_at(c);
                dx.iter_mut().zip(left).zip(right).for_each(|((sum, l), r)| *sum += l + r);
            }
        }
    }
    dx
}
