// SPDX-License-Identifier: Apache-2.0
//! The ops that training is made of, each on slices of the caller's.
//!
//! ```
//! # fn main() -> ftlib::Result<()> {
//! use ftlib::primitives::{clip_grad_norm, AdamW};
//! let (mut weight, mut gradient) = ([1.0, 2.0], [3.0, 4.0]);
//! let (mut exp_avg, mut exp_avg_sq) = ([0.0; 2], [0.0; 2]);
//! assert_eq!(clip_grad_norm(&mut [&mut gradient], 1.0)?, 5.0);
//! AdamW::default().step(1, &mut weight, &gradient, 1.0, &mut exp_avg, &mut exp_avg_sq)?;
//! assert!(weight[0] < 1.0);
//! # Ok(())
//! # }
//! ```
use crate::error::{check, Error, Result};
use crate::handle::defaults;
use ftlib_sys as sys;
use std::os::raw::c_void;

/// Brain float, as its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

/// Half precision, as its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct F16(pub u16);

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for super::Bf16 {}
    impl Sealed for super::F16 {}
}

/// A type of numbers that the library takes: `f32`, [`Bf16`], [`F16`].
pub trait Element: sealed::Sealed + Copy {
    /// Its number in C.
    const DTYPE: sys::ft_dtype;
}
impl Element for f32 {
    const DTYPE: sys::ft_dtype = sys::FT_F32;
}
impl Element for Bf16 {
    const DTYPE: sys::ft_dtype = sys::FT_BF16;
}
impl Element for F16 {
    const DTYPE: sys::ft_dtype = sys::FT_F16;
}

fn same(have: usize, want: usize, name: &str) -> Result<()> {
    if have == want {
        return Ok(());
    }
    Err(Error::invalid(format!("{name}: want {want} elements, got {have}")))
}

/// Elements of a matrix. What does not fit is no length of a slice either.
fn elements(rows: usize, columns: usize) -> usize {
    rows.saturating_mul(columns)
}

/// A size as C has it. What is too large must stay so.
fn narrow(size: usize) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}

fn blocks(count: usize, size: usize) -> Result<usize> {
    if size == 0 {
        return Err(Error::invalid("block_size must be a power of two from 32 to 4096, got 0".to_string()));
    }
    Ok(count / size + usize::from(count % size != 0))
}

/// A matrix to read, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
}

/// A matrix to write, row-major.
#[derive(Debug)]
pub struct MatrixMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    columns: usize,
}

impl<'a, T: Element> Matrix<'a, T> {
    /// `data` has rows * columns elements.
    pub fn new(data: &'a [T], rows: usize, columns: usize) -> Result<Self> {
        same(data.len(), elements(rows, columns), "a matrix")?;
        Ok(Matrix { data, rows, columns })
    }

    fn raw(&self) -> sys::ft_tensor {
        raw_tensor::<T>(self.data.as_ptr() as *mut c_void, self.rows, self.columns)
    }
}

impl<'a, T: Element> MatrixMut<'a, T> {
    /// `data` has rows * columns elements.
    pub fn new(data: &'a mut [T], rows: usize, columns: usize) -> Result<Self> {
        same(data.len(), elements(rows, columns), "a matrix")?;
        Ok(MatrixMut { data, rows, columns })
    }

    fn raw(&mut self) -> sys::ft_tensor {
        raw_tensor::<T>(self.data.as_mut_ptr() as *mut c_void, self.rows, self.columns)
    }
}

fn raw_tensor<T: Element>(data: *mut c_void, rows: usize, columns: usize) -> sys::ft_tensor {
    sys::ft_tensor {
        struct_size: std::mem::size_of::<sys::ft_tensor>() as u32,
        dtype: T::DTYPE,
        data,
        rank: 2,
        reserved: 0,
        shape: [rows as i64, columns as i64],
        stride: [columns as i64, 1],
    }
}

/// The block scales of an NF4 weight.
#[derive(Clone, Copy, Debug)]
pub enum Absmax<'a> {
    /// As [`nf4_quantize`] wrote them.
    Single(&'a [f32]),
    /// As [`double_quantize`] wrote them.
    Double {
        /// One a block.
        codes: &'a [u8],
        /// One for each 256 of them.
        nested_scales: &'a [f32],
        /// What it returned.
        offset: f32,
    },
}

/// A frozen weight \[out_features, in_features\].
#[derive(Clone, Copy)]
pub struct Weight<'a> {
    raw: sys::ft_weight,
    _of: std::marker::PhantomData<&'a [u8]>,
}

// Its pointers are slices that are only read.
unsafe impl Send for Weight<'_> {}
unsafe impl Sync for Weight<'_> {}

impl<'a> Weight<'a> {
    /// Of plain numbers.
    pub fn dense<T: Element>(data: &'a [T], out_features: usize, in_features: usize) -> Result<Self> {
        same(data.len(), elements(out_features, in_features), "a weight")?;
        let mut raw = Self::empty(out_features, in_features);
        raw.format = match T::DTYPE {
            sys::FT_BF16 => sys::FT_WEIGHT_BF16,
            sys::FT_F16 => sys::FT_WEIGHT_F16,
            _ => sys::FT_WEIGHT_F32,
        };
        raw.data = data.as_ptr() as *const c_void;
        Ok(Weight { raw, _of: std::marker::PhantomData })
    }

    /// Of NF4 codes.
    pub fn nf4(codes: &'a [u8], absmax: Absmax<'a>, block_size: usize, out_features: usize, in_features: usize) -> Result<Self> {
        let count = elements(out_features, in_features);
        same(codes.len(), blocks(count, 2)?, "codes")?;
        let mut raw = Self::empty(out_features, in_features);
        raw.format = sys::FT_WEIGHT_NF4;
        raw.data = codes.as_ptr() as *const c_void;
        raw.block_size = narrow(block_size);
        match absmax {
            Absmax::Single(scales) => {
                same(scales.len(), blocks(count, block_size)?, "absmax")?;
                raw.absmax = scales.as_ptr() as *const c_void;
            }
            Absmax::Double { codes, nested_scales, offset } => {
                same(codes.len(), blocks(count, block_size)?, "absmax")?;
                same(nested_scales.len(), blocks(codes.len(), 256)?, "nested_scales")?;
                raw.absmax = codes.as_ptr() as *const c_void;
                raw.nested_scales = nested_scales.as_ptr();
                raw.nested_offset = offset;
            }
        }
        Ok(Weight { raw, _of: std::marker::PhantomData })
    }

    fn empty(out_features: usize, in_features: usize) -> sys::ft_weight {
        let mut raw = crate::handle::sized!(sys::ft_weight);
        raw.out_features = out_features as i64;
        raw.in_features = in_features as i64;
        raw
    }
}

/// Quantises to NF4, in the bits of bitsandbytes. `codes`: two a byte; `absmax`: one for each `block_size` values.
pub fn nf4_quantize<T: Element>(values: &[T], block_size: usize, codes: &mut [u8], absmax: &mut [f32]) -> Result<()> {
    same(codes.len(), (values.len() + 1) / 2, "codes")?;
    same(absmax.len(), blocks(values.len(), block_size)?, "absmax")?;
    check(unsafe {
        sys::ft_nf4_quantize(values.as_ptr() as *const c_void, T::DTYPE, values.len() as i64, narrow(block_size),
                             codes.as_mut_ptr(), absmax.as_mut_ptr())
    })
}

/// Quantises block scales to 8 bits, in blocks of 256; returns the offset.
pub fn double_quantize(absmax: &[f32], codes: &mut [u8], nested_scales: &mut [f32]) -> Result<f32> {
    same(codes.len(), absmax.len(), "codes")?;
    same(nested_scales.len(), blocks(absmax.len(), 256)?, "nested_scales")?;
    let mut offset = 0.0;
    check(unsafe {
        sys::ft_nf4_double_quantize(absmax.as_ptr(), absmax.len() as i64, codes.as_mut_ptr(), nested_scales.as_mut_ptr(), &mut offset)
    })?;
    Ok(offset)
}

/// What an NF4 weight stands for.
pub fn nf4_dequantize<T: Element>(weight: &Weight<'_>, values: &mut [T]) -> Result<()> {
    same(values.len(), elements(weight.raw.out_features as usize, weight.raw.in_features as usize), "values")?;
    check(unsafe { sys::ft_nf4_dequantize(&weight.raw, values.as_mut_ptr() as *mut c_void, T::DTYPE) })
}

/// y = x W^T + bias + scale (x A^T) B^T, and u = x A^T. x \[T, K\], a \[R, K\], b \[N, R\], u \[T, R\], y \[T, N\]: T is f32 or
/// [`Bf16`], y may be f32.
#[allow(clippy::too_many_arguments)]
pub fn lora_linear<T: Element, Y: Element>(
    x: &Matrix<'_, T>,
    weight: &Weight<'_>,
    bias: Option<&[f32]>,
    a: &Matrix<'_, T>,
    b: &Matrix<'_, T>,
    scale: f32,
    u: &mut MatrixMut<'_, T>,
    y: &mut MatrixMut<'_, Y>,
) -> Result<()> {
    let (x, a, b, u, y) = (x.raw(), a.raw(), b.raw(), u.raw(), y.raw());
    let bias = bias.map(|bias| {
        let mut raw = raw_tensor::<f32>(bias.as_ptr() as *mut c_void, bias.len(), 1);
        raw.rank = 1;
        raw
    });
    let mut args = crate::handle::sized!(sys::ft_lora_linear_args);
    args.scale = scale;
    args.weight = &weight.raw;
    args.x = &x;
    args.bias = bias.as_ref().map_or(std::ptr::null(), |bias| bias as *const _);
    args.a = &a;
    args.b = &b;
    args.u = &u;
    args.y = &y;
    check(unsafe { sys::ft_lora_linear(&args) })
}

/// Adds du^T x to d_a \[R, K\] and scale dy^T u to d_b \[N, R\], and writes dx \[T, K\] where it is given; du \[T, R\] is
/// workspace.
#[allow(clippy::too_many_arguments)]
pub fn lora_linear_backward<T: Element>(
    dy: &Matrix<'_, T>,
    x: &Matrix<'_, T>,
    weight: &Weight<'_>,
    a: &Matrix<'_, T>,
    b: &Matrix<'_, T>,
    u: &Matrix<'_, T>,
    scale: f32,
    du: &mut MatrixMut<'_, T>,
    d_a: &mut MatrixMut<'_, f32>,
    d_b: &mut MatrixMut<'_, f32>,
    dx: Option<&mut MatrixMut<'_, T>>,
) -> Result<()> {
    let (dy, x, a, b, u) = (dy.raw(), x.raw(), a.raw(), b.raw(), u.raw());
    let (du, d_a, d_b, dx) = (du.raw(), d_a.raw(), d_b.raw(), dx.map(|dx| dx.raw()));
    let mut args = crate::handle::sized!(sys::ft_lora_linear_backward_args);
    args.scale = scale;
    args.weight = &weight.raw;
    args.dy = &dy;
    args.x = &x;
    args.a = &a;
    args.b = &b;
    args.u = &u;
    args.du = &du;
    args.d_a = &d_a;
    args.d_b = &d_b;
    args.dx = dx.as_ref().map_or(std::ptr::null(), |dx| dx as *const _);
    check(unsafe { sys::ft_lora_linear_backward(&args) })
}

/// The options of AdamW.
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// 2e-4.
    pub lr: f64,
    /// 0.9.
    pub beta1: f64,
    /// 0.999.
    pub beta2: f64,
    /// 1e-8.
    pub eps: f64,
    /// 0; decoupled.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        AdamW { lr: 2e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }
}

impl AdamW {
    fn raw(&self) -> Result<sys::ft_adamw_options> {
        let mut raw = defaults!(sys::ft_adamw_options, sys::ft_adamw_options_init);
        raw.lr = self.lr;
        raw.beta1 = self.beta1;
        raw.beta2 = self.beta2;
        raw.eps = self.eps;
        raw.weight_decay = self.weight_decay;
        Ok(raw)
    }

    /// One step, from 1, in place, in torch's order of operations.
    pub fn step(
        &self,
        step: i64,
        parameter: &mut [f32],
        gradient: &[f32],
        gradient_scale: f32,
        exp_avg: &mut [f32],
        exp_avg_sq: &mut [f32],
    ) -> Result<()> {
        let count = parameter.len();
        same(gradient.len(), count, "gradient")?;
        same(exp_avg.len(), count, "exp_avg")?;
        same(exp_avg_sq.len(), count, "exp_avg_sq")?;
        check(unsafe {
            sys::ft_adamw_step(parameter.as_mut_ptr(), gradient.as_ptr(), exp_avg.as_mut_ptr(), exp_avg_sq.as_mut_ptr(),
                               count as i64, &self.raw()?, step, gradient_scale)
        })
    }

    /// The same with states of 8 bits: each a pair of codes and their absmax, one for each 256.
    pub fn step_8bit(
        &self,
        step: i64,
        parameter: &mut [f32],
        gradient: &[f32],
        gradient_scale: f32,
        exp_avg: (&mut [u8], &mut [f32]),
        exp_avg_sq: (&mut [u8], &mut [f32]),
    ) -> Result<()> {
        let count = parameter.len();
        same(gradient.len(), count, "gradient")?;
        for (codes, absmax) in [&exp_avg, &exp_avg_sq] {
            same(codes.len(), count, "codes")?;
            same(absmax.len(), blocks(count, 256)?, "absmax")?;
        }
        check(unsafe {
            sys::ft_adamw_8bit_step(parameter.as_mut_ptr(), gradient.as_ptr(), exp_avg.0.as_mut_ptr(), exp_avg_sq.0.as_mut_ptr(),
                                    exp_avg.1.as_mut_ptr(), exp_avg_sq.1.as_mut_ptr(), count as i64, &self.raw()?, step,
                                    gradient_scale)
        })
    }
}

/// Multiplies all gradients by min(1, max_norm / (norm + 1e-6)), as torch does; returns the norm before. 0: only measures.
pub fn clip_grad_norm(gradients: &mut [&mut [f32]], max_norm: f64) -> Result<f64> {
    let counts: Vec<i64> = gradients.iter().map(|gradient| gradient.len() as i64).collect();
    let pointers: Vec<*mut f32> = gradients.iter_mut().map(|gradient| gradient.as_mut_ptr()).collect();
    let mut norm = 0.0;
    check(unsafe { sys::ft_clip_grad_norm(pointers.as_ptr(), counts.as_ptr(), counts.len(), max_norm, &mut norm) })?;
    Ok(norm)
}

/// Loss of each row of `logits` \[S, V\], nats; with `d_logits` \[S, V\] the gradient of gradient_scale * sum(weights * nll).
pub fn cross_entropy(
    logits: &Matrix<'_, f32>,
    targets: &[i32],
    weights: Option<&[f32]>,
    gradient_scale: f32,
    nll: &mut [f32],
    d_logits: Option<&mut MatrixMut<'_, f32>>,
) -> Result<()> {
    same(targets.len(), logits.rows, "targets")?;
    same(nll.len(), logits.rows, "nll")?;
    if let Some(weights) = weights {
        same(weights.len(), logits.rows, "weights")?;
    }
    let gradient = match d_logits {
        Some(d) => {
            same(d.data.len(), logits.data.len(), "d_logits")?;
            same(d.columns, logits.columns, "a row of d_logits")?;
            d.data.as_mut_ptr()
        }
        None => std::ptr::null_mut(),
    };
    check(unsafe {
        sys::ft_cross_entropy(logits.data.as_ptr(), targets.as_ptr(), weights.map_or(std::ptr::null(), |w| w.as_ptr()),
                              logits.rows as i64, logits.columns as i64, gradient_scale, nll.as_mut_ptr(), gradient)
    })
}
