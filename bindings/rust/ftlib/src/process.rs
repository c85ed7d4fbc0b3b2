// SPDX-License-Identifier: Apache-2.0
use crate::error::{check, Result};
use crate::handle::{copied, optional_text, pointer, text};
use ftlib_sys as sys;
use std::ffi::CStr;
use std::os::raw::{c_char, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Mutex;

/// The version of the library that runs.
pub fn version() -> String {
    unsafe { copied(sys::ft_version()) }
}

/// The version of its C interface: the N of libftlib_c.so.N.
pub fn abi_version() -> u32 {
    unsafe { sys::ft_abi_version() }
}

/// A backend of this build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// "onednn", "avx512bf16", "avx2", "portable" or "ref".
    pub name: String,
    /// Whether this processor runs it.
    pub available: bool,
}

/// The backends of this build, best first.
pub fn backends() -> Result<Vec<Backend>> {
    let mut count = 0;
    check(unsafe { sys::ft_backend_count(&mut count) })?;
    (0..count)
        .map(|index| {
            let (mut name, mut available) = (std::ptr::null(), 0);
            check(unsafe { sys::ft_backend_name(index, &mut name, &mut available) })?;
            Ok(Backend { name: unsafe { copied(name) }, available: available == 1 })
        })
        .collect()
}

/// Forces one backend for the whole process; `None`: the best for each op. Not while another thread computes.
pub fn force_backend(name: Option<&str>) -> Result<()> {
    let name = optional_text("name", name)?;
    check(unsafe { sys::ft_backend_force(pointer(&name)) })
}

/// The backend of the last op of this name on this thread; "" before any.
pub fn backend_used(op: &str) -> Result<String> {
    let (op, mut name) = (text("op", op)?, std::ptr::null());
    check(unsafe { sys::ft_backend_used(op.as_ptr(), &mut name) })?;
    Ok(unsafe { copied(name) })
}

/// How many threads a call may use.
pub fn threads() -> Result<i32> {
    let mut count = 0;
    check(unsafe { sys::ft_get_threads(&mut count) })?;
    Ok(count)
}

/// Sets it, 1 to 1024. Results do not depend on it.
pub fn set_threads(count: i32) -> Result<()> {
    check(unsafe { sys::ft_set_threads(count) })
}

/// Joins the library's threads; the next call that needs them starts them again. Only while no other call computes.
pub fn shutdown() -> Result<()> {
    check(unsafe { sys::ft_shutdown() })
}

type Log = Box<dyn Fn(&str) + Send + Sync>;

static LOG: Mutex<Option<Box<Log>>> = Mutex::new(None);

unsafe extern "C" fn on_log(message: *const c_char, user: *mut c_void) {
    let log = &*(user as *const Log);
    // A warning changes nothing, and neither does a panic over it. To drop what it threw could panic again.
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| log(&CStr::from_ptr(message).to_string_lossy()))) {
        std::mem::forget(payload);
    }
}

/// Where warnings of the library go; `None`, the default: nowhere. What is told a warning must not call this.
pub fn set_log(log: Option<Log>) -> Result<()> {
    let mut held = LOG.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let next = log.map(Box::new);
    let (callback, user): (sys::ft_log_callback, _) = match &next {
        Some(log) => (Some(on_log), &**log as *const Log as *mut c_void),
        None => (None, std::ptr::null_mut()),
    };
    check(unsafe { sys::ft_set_log(callback, user) })?;
    let before = std::mem::replace(&mut *held, next); // which is not running any more
    drop(held); // first: what it owns may set a log when it goes
    drop(before);
    Ok(())
}
