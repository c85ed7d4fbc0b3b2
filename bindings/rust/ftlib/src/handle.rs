// SPDX-License-Identifier: Apache-2.0
//! What all handles share, and how text and structs cross the boundary.
use crate::error::{check, Error, Result};
use ftlib_sys as sys;
use std::ffi::{CStr, CString};
use std::os::raw::c_char;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A handle of the library's, freed when it goes. Its bits are a number that the library checks, no address.
pub(crate) struct Handle<T> {
    pub(crate) raw: *mut T,
    free: unsafe extern "C" fn(*mut T) -> sys::ft_status,
}

impl<T> Handle<T> {
    /// What a function that makes a handle gives.
    pub(crate) fn make(
        free: unsafe extern "C" fn(*mut T) -> sys::ft_status,
        make: impl FnOnce(*mut *mut T) -> sys::ft_status,
    ) -> Result<Handle<T>> {
        let mut raw = std::ptr::null_mut();
        check(make(&mut raw))?;
        Ok(Handle { raw, free })
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        // The handle was made by the library and is freed here alone.
        unsafe { (self.free)(self.raw) };
    }
}

/// A text with a NUL at its end; one that has a NUL inside is refused by name.
pub(crate) fn text(name: &str, from: impl AsRef<[u8]>) -> Result<CString> {
    CString::new(from.as_ref()).map_err(|_| Error::invalid(format!("{name} holds a NUL")))
}

pub(crate) fn path(name: &str, from: impl AsRef<Path>) -> Result<CString> {
    text(name, from.as_ref().as_os_str().as_bytes())
}

pub(crate) fn optional_text(name: &str, from: Option<&str>) -> Result<Option<CString>> {
    from.map(|from| text(name, from)).transpose()
}

/// The pointer of a text that may be absent.
pub(crate) fn pointer(from: &Option<CString>) -> *const c_char {
    from.as_ref().map_or(std::ptr::null(), |text| text.as_ptr())
}

/// The library's text, copied; "" for NULL.
///
/// # Safety
/// `from` is NULL or ends with a NUL.
pub(crate) unsafe fn copied(from: *const c_char) -> String {
    if from.is_null() {
        return String::new();
    }
    CStr::from_ptr(from).to_string_lossy().into_owned()
}

/// The same for a text of so many bytes, which may hold NULs.
///
/// # Safety
/// `from` is NULL or points to that many bytes.
pub(crate) unsafe fn sized_text(from: *const c_char, bytes: usize) -> String {
    String::from_utf8_lossy(borrowed(from as *const u8, bytes as i64)).into_owned()
}

/// Texts as the library takes them: pointers, and what they point to.
pub(crate) struct Texts {
    _owned: Vec<CString>,
    pub(crate) pointers: Vec<*const c_char>,
}

pub(crate) fn texts<'a>(name: impl Fn(usize) -> String, from: impl IntoIterator<Item = &'a str>) -> Result<Texts> {
    let owned = from.into_iter().enumerate().map(|(i, from)| text(&name(i), from)).collect::<Result<Vec<_>>>()?;
    let pointers = owned.iter().map(|text| text.as_ptr()).collect();
    Ok(Texts { _owned: owned, pointers })
}

/// A struct for the library to fill.
macro_rules! sized {
    ($kind:ty) => {{
        // All fields are numbers and pointers, for which zero is a value.
        let mut value: $kind = unsafe { std::mem::zeroed() };
        value.struct_size = std::mem::size_of::<$kind>() as u32;
        value
    }};
}

/// Options as their _init function gives them.
macro_rules! defaults {
    ($kind:ty, $init:path) => {{
        let mut value: $kind = unsafe { std::mem::zeroed() };
        crate::error::check(unsafe { $init(&mut value, std::mem::size_of::<$kind>()) })?;
        value
    }};
}

pub(crate) use {defaults, sized};

/// Calls twice: for the count, and for the elements.
pub(crate) fn filled<T: Copy + Default>(
    mut call: impl FnMut(*mut T, usize, *mut usize) -> sys::ft_status,
) -> Result<Vec<T>> {
    let mut count = 0;
    check(call(std::ptr::null_mut(), 0, &mut count))?;
    let mut elements = vec![T::default(); count];
    check(call(elements.as_mut_ptr(), count, &mut count))?;
    Ok(elements)
}

/// Memory of the library's as a slice; empty for NULL.
///
/// # Safety
/// `data` is NULL or points to `count` elements that live and stay as they are for 'a.
pub(crate) unsafe fn borrowed<'a, T>(data: *const T, count: i64) -> &'a [T] {
    if data.is_null() || count <= 0 {
        return &[];
    }
    std::slice::from_raw_parts(data, count as usize)
}
