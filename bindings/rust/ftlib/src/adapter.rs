// SPDX-License-Identifier: Apache-2.0
use crate::error::{check, Result};
use crate::handle::{borrowed, copied, path, sized, Handle};
use ftlib_sys as sys;
use std::path::Path;

/// Facts of an adapter, with the names of PEFT's LoraConfig.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterInfo {
    /// The rank.
    pub r: i64,
    /// The update is scaled by alpha / r.
    pub lora_alpha: f64,
    /// On the adapter's input, in training.
    pub lora_dropout: f64,
    /// Scaled by alpha / sqrt(r) instead.
    pub use_rslora: bool,
    /// Numbers in all.
    pub parameter_count: i64,
    /// SHA-256 of its numbers.
    pub digest: String,
    /// Of the base that it was trained on; `None`: it does not say.
    pub base_digest: Option<String>,
}

/// One matrix of an adapter, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// "model.layers.0.self_attn.q_proj.lora_A"
    pub name: &'a str,
    /// What B A is multiplied by.
    pub scale: f32,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// \[rows * columns\]
    pub values: &'a [f32],
}

/// A LoRA adapter. Immutable. Its tensors are views that do not outlive it:
///
/// ```compile_fail,E0597
/// fn names(trainer: &ftlib::Trainer) -> ftlib::Result<usize> {
///     let tensors = {
///         let adapter = trainer.adapter()?;
///         adapter.tensors()?
///     };
///     Ok(tensors.len())
/// }
/// ```
pub struct Adapter {
    pub(crate) handle: Handle<sys::ft_adapter>,
}

// ft_adapter: any number of threads at once.
unsafe impl Send for Adapter {}
unsafe impl Sync for Adapter {}

impl Adapter {
    fn raw_info(&self) -> Result<sys::ft_adapter_info> {
        let mut raw = sized!(sys::ft_adapter_info);
        check(unsafe { sys::ft_adapter_get_info(self.handle.raw, &mut raw) })?;
        Ok(raw)
    }

    /// Its facts.
    pub fn info(&self) -> Result<AdapterInfo> {
        let raw = self.raw_info()?;
        let base = unsafe { copied(raw.base_digest) };
        Ok(AdapterInfo {
            r: raw.r,
            lora_alpha: raw.lora_alpha,
            lora_dropout: raw.lora_dropout,
            use_rslora: raw.use_rslora == 1,
            parameter_count: raw.parameter_count,
            digest: unsafe { copied(raw.digest) },
            base_digest: if base.is_empty() { None } else { Some(base) },
        })
    }

    /// Its matrices, in the order of the computation: A, then B of each module. The slices are its own memory.
    pub fn tensors(&self) -> Result<Vec<Tensor<'_>>> {
        (0..self.raw_info()?.tensor_count)
            .map(|index| {
                let (mut name, mut scale, mut raw) = (std::ptr::null(), 0.0, sized!(sys::ft_tensor));
                check(unsafe { sys::ft_adapter_tensor(self.handle.raw, index, &mut name, &mut scale, &mut raw) })?;
                let (rows, columns) = (raw.shape[0], raw.shape[1]);
                // Name and numbers live as long as the adapter, which does not change.
                unsafe {
                    Ok(Tensor {
                        name: std::ffi::CStr::from_ptr(name).to_str().unwrap_or(""),
                        scale,
                        rows: rows as usize,
                        columns: columns as usize,
                        values: borrowed(raw.data as *const f32, rows * columns),
                    })
                }
            })
            .collect()
    }

    /// adapter_config.json and adapter_model.safetensors, as PEFT writes them.
    pub fn save_peft(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = path("folder", folder)?;
        check(unsafe { sys::ft_adapter_save_peft(self.handle.raw, folder.as_ptr()) })
    }

    /// The file that llama.cpp reads.
    pub fn save_gguf(&self, file: impl AsRef<Path>) -> Result<()> {
        let file = path("file", file)?;
        check(unsafe { sys::ft_adapter_save_gguf(self.handle.raw, file.as_ptr()) })
    }
}

pub(crate) fn raw_or_null(adapter: Option<&Adapter>) -> *const sys::ft_adapter {
    adapter.map_or(std::ptr::null(), |adapter| adapter.handle.raw as *const _)
}
