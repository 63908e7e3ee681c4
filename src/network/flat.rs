//! A network's parameters as one vector: the optimizer, the average and the checkpoint see `[P]`, not modules.
//!
//! burn keys optimizer state by random parameter ids; one flat vector in the order in which the module is visited needs
//! no ids, has deterministic bytes and turns each update into a few long operations.

use crate::error::Result;
use crate::{kernels, transfer};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Names, shapes and offsets of the parameters inside the flat vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// (dotted name, shape) in visiting order.
    pub entries: Vec<(String, Vec<usize>)>,
}

impl Layout {
    /// Layout of `module`.
    pub fn of<M: Module>(module: &M) -> Self {
        let mut visitor = Describe { path: Vec::new(), entries: Vec::new() };
        module.visit(&mut visitor);
        Self { entries: visitor.entries }
    }

    /// Number of parameters P.
    pub fn len(&self) -> usize {
        self.entries.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// True for a module without parameters.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

struct Describe {
    path: Vec<String>,
    entries: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Describe {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.entries.push((self.path.join("."), param.val().dims().to_vec()));
    }
}

struct Collect(Vec<Tensor<1>>);

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(flat(param.val().inner()));
    }
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let n = tensor.dims().iter().product::<usize>();
    tensor.reshape([n])
}

/// The parameters of `module` as one vector `[P]` outside autodiff.
pub fn flatten<M: Module>(module: &M) -> Tensor<1> {
    let mut visitor = Collect(Vec::new());
    module.visit(&mut visitor);
    joined(visitor.0)
}

/// Number of vectors that are joined at once where operations are fused: each is an argument of the kernel, of which WebGPU
/// allows few, and one branch for every value.
const JOINED: usize = 16;

/// The vectors one after another. A device copies one at a time, unless operations are fused.
pub(crate) fn joined(mut parts: Vec<Tensor<1>>) -> Tensor<1> {
    let fused = cfg!(feature = "fusion") && parts.first().is_some_and(|part| !kernels::in_host_memory(&part.device()));
    while fused && parts.len() > JOINED {
        parts = parts.chunks(JOINED).map(|group| Tensor::cat(group.to_vec(), 0)).collect();
    }
    Tensor::cat(parts, 0)
}

/// Number of floats to a multiple of which a part of a vector must begin and end to be used in place on every device.
const ALIGNMENT: usize = 128;

/// `values [P]` with as many zeros behind them as let their parts be used in place on a device, if their offsets allow it.
fn aligned(values: &Tensor<1>) -> Tensor<1> {
    let (device, rest) = (values.device(), values.dims()[0] % ALIGNMENT);
    match rest == 0 || kernels::in_host_memory(&device) {
        true => values.clone(),
        false => Tensor::cat(vec![values.clone(), Tensor::zeros([ALIGNMENT - rest], &device)], 0),
    }
}

struct Replace<'a> {
    values: &'a Tensor<1>,
    offset: usize,
}

impl Replace<'_> {
    fn next(&mut self, n: usize) -> Tensor<1> {
        let next = self.values.clone().narrow(0, self.offset, n);
        self.offset += n;
        next
    }
}

impl ModuleMapper for Replace<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, old, mapper) = param.consume();
        let shape = old.dims();
        let new = self.next(shape.iter().product()).reshape(shape);
        Param::from_mapped_value(id, new, mapper)
    }
}

/// Returns `module` (outside autodiff) with its parameters taken from `values` `[P]`.
pub fn unflatten<M: Module>(module: M, values: &Tensor<1>) -> M {
    module.map(&mut Replace { values: &aligned(values), offset: 0 })
}

struct CollectGradients<'a> {
    gradients: &'a mut [GradientsParams],
    out: Vec<Tensor<1>>,
}

impl ModuleVisitor for CollectGradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.gradients.iter_mut().find_map(|some| some.remove::<D>(param.id));
        self.out.push(gradient.map(flat).unwrap_or_else(|| flat(param.val().inner().zeros_like())));
    }
}

/// Gradients of `module`'s parameters as one vector `[P]` in the order of [`flatten`]; zero where a parameter
/// has none.
pub fn flatten_gradients<M: Module>(module: &M, gradients: GradientsParams) -> Tensor<1> {
    flatten_parts(module, vec![gradients])
}

/// [`flatten_gradients`] of gradients that were found in parts, each with other parameters.
pub(crate) fn flatten_parts<M: Module>(module: &M, mut gradients: Vec<GradientsParams>) -> Tensor<1> {
    let mut visitor = CollectGradients { gradients: &mut gradients, out: Vec::new() };
    module.visit(&mut visitor);
    joined(visitor.out)
}

/// Host values of a vector `[n]`, converted where the device keeps floats of another precision.
///
/// # Errors
/// The device cannot be read.
pub fn to_host(tensor: &Tensor<1>) -> Result<Vec<f32>> {
    transfer::to_host(tensor)
}

/// Vector of host values.
pub fn from_host(values: Vec<f32>, device: &burn::tensor::Device) -> Tensor<1> {
    let n = values.len();
    transfer::to_device(values, [n], device)
}
