// SPDX-License-Identifier: Apache-2.0
//! Closures as callbacks of C: a panic ends the call with "cancelled" and goes on after it.
use crate::error::{check, Result};
use ftlib_sys as sys;
use std::any::Any;
use std::os::raw::{c_char, c_void};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};

type Panic = Option<Box<dyn Any + Send>>;

/// What `user` points to during a call.
struct Context<'a, F: ?Sized> {
    function: &'a mut F,
    panic: Panic,
}

fn guarded(panic: &mut Panic, body: impl FnOnce() -> bool) -> i32 {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(go_on) => i32::from(!go_on),
        Err(payload) => {
            *panic = Some(payload);
            1
        }
    }
}

fn run<F: ?Sized>(function: &mut F, call: impl FnOnce(*mut c_void) -> sys::ft_status) -> Result<()> {
    let mut context = Context { function, panic: None };
    let status = call(&mut context as *mut Context<'_, F> as *mut c_void);
    if let Some(payload) = context.panic {
        resume_unwind(payload);
    }
    check(status)
}

type Work<'a> = dyn FnMut(i64, i64) -> bool + 'a;
type Token<'a> = dyn FnMut(usize, i32, &[u8]) -> bool + 'a;
type Step<'a> = dyn FnMut(&sys::ft_progress) -> bool + 'a;

unsafe extern "C" fn on_work(done: i64, total: i64, user: *mut c_void) -> i32 {
    let context = &mut *(user as *mut Context<'_, Work<'_>>);
    let function = &mut *context.function;
    guarded(&mut context.panic, || function(done, total))
}

unsafe extern "C" fn on_token(prompt: usize, token: i32, text: *const c_char, bytes: usize, user: *mut c_void) -> i32 {
    let context = &mut *(user as *mut Context<'_, Token<'_>>);
    let function = &mut *context.function;
    let text = crate::handle::borrowed(text as *const u8, bytes as i64);
    guarded(&mut context.panic, || function(prompt, token, text))
}

unsafe extern "C" fn on_step(progress: *const sys::ft_progress, user: *mut c_void) -> i32 {
    let context = &mut *(user as *mut Context<'_, Step<'_>>);
    let function = &mut *context.function;
    guarded(&mut context.panic, || function(&*progress))
}

/// A call that tells how far it is.
pub(crate) fn with_work(
    function: &mut Work<'_>,
    call: impl FnOnce(sys::ft_work_callback, *mut c_void) -> sys::ft_status,
) -> Result<()> {
    run(function, |user| call(Some(on_work), user))
}

/// A call that tells of tokens.
pub(crate) fn with_tokens(
    function: &mut Token<'_>,
    call: impl FnOnce(sys::ft_token_callback, *mut c_void) -> sys::ft_status,
) -> Result<()> {
    run(function, |user| call(Some(on_token), user))
}

/// A call that tells of steps.
pub(crate) fn with_steps(
    function: &mut Step<'_>,
    call: impl FnOnce(sys::ft_progress_callback, *mut c_void) -> sys::ft_status,
) -> Result<()> {
    run(function, |user| call(Some(on_step), user))
}
