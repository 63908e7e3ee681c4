//! Matrices whose singular values are made alike.

use burn::tensor::Tensor;
use diffem_kernels::{ORTHOGONAL_ITERATIONS, ORTHOGONAL_TINY};

/// About U Vᵀ of the singular value decomposition U S Vᵀ of each of the matrices, of the same shape; see
/// [`diffem_kernels::orthogonal`].
pub(crate) fn orthogonal(matrices: Vec<Tensor<2>>) -> Vec<Tensor<2>> {
    #[cfg(feature = "flex")]
    if matrices.first().is_some_and(|m| super::is_flex(&m.device())) {
        return fused(&matrices);
    }
    matrices.into_iter().map(stock).collect()
}

/// One thread per matrix.
#[cfg(feature = "flex")]
fn fused(matrices: &[Tensor<2>]) -> Vec<Tensor<2>> {
    use burn::tensor::TensorData;
    crate::parallel::map(matrices.len(), |i| {
        let m = &matrices[i];
        let found = diffem_kernels::orthogonal(super::flex::Values::of(m).get(), m.dims());
        Tensor::from_data(TensorData::new(found, m.dims()), &m.device())
    })
}

fn stock(m: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = m.dims();
    // The products are those of the shorter side.
    let turned = rows > columns;
    let m = if turned { m.transpose() } else { m };
    let norm = m.clone().square().sum().sqrt() + ORTHOGONAL_TINY;
    let mut x = m / norm.reshape([1, 1]);
    for [a, b, c] in ORTHOGONAL_ITERATIONS {
        let s = x.clone().matmul(x.clone().transpose());
        let polynomial = s.clone() * b + s.clone().matmul(s) * c;
        x = x.clone() * a + polynomial.matmul(x);
    }
    if turned { x.transpose() } else { x }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};
    use nalgebra::DMatrix;

    fn wave([rows, columns]: [usize; 2]) -> Tensor<2> {
        let values: Vec<f32> = (0..rows * columns).map(|i| (i as f32 * 0.7).sin().powi(2)).collect();
        Tensor::from_data(TensorData::new(values, [rows, columns]), &Device::flex())
    }

    fn host(t: Tensor<2>) -> Vec<f32> {
        t.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn singular_values_become_alike_and_directions_stay() {
        for [rows, columns] in [[6, 6], [5, 12], [12, 5]] {
            let m = wave([rows, columns]);
            let svd = DMatrix::from_row_slice(rows, columns, &host(m.clone())).svd(true, true);
            let x = DMatrix::from_row_slice(rows, columns, &host(orthogonal(vec![m]).remove(0)));
            let found = svd.u.unwrap().transpose() * x * svd.v_t.unwrap().transpose();
            for i in 0..found.nrows() {
                for j in 0..found.ncols() {
                    let bound = if i == j { 0.43..1.57 } else { -1e-4..1e-4 };
                    // Directions of nearly no momentum are lifted by 446 at most.
                    let faint = i == j && svd.singular_values[i] < 2e-3 * svd.singular_values[0];
                    assert!(faint || bound.contains(&found[(i, j)]), "{rows} x {columns}: {found}");
                }
            }
        }
    }

    #[test]
    fn no_momentum_is_no_step() {
        assert!(host(orthogonal(vec![Tensor::zeros([3, 4], &Device::flex())]).remove(0)).iter().all(|x| *x == 0.0));
    }

    #[test]
    fn fused_products_agree_with_stock_operations() {
        for shape in [[40, 40], [7, 90], [90, 7]] {
            let [fused, stock] = [host(orthogonal(vec![wave(shape)]).remove(0)), host(stock(wave(shape)))];
            let worst = fused.iter().zip(&stock).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{shape:?}: {worst}");
        }
    }
}
