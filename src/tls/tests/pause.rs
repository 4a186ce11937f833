//! A simulated accelerator: the SNI callback pauses its job, as an accelerated
//! operation would.

use std::cell::RefCell;
use std::rc::Rc;

type Hook = Rc<dyn Fn()>;

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

/// Called by the SNI callback, in the job if there is one.
pub(in crate::tls) fn run_hook() {
    // Not borrowed over the call: it may pause, and another handshake come here.
    let hook = HOOK.with_borrow(Clone::clone);
    if let Some(hook) = hook {
        hook();
    }
}

/// What every handshake of this thread does from now on, until the guard is dropped.
#[must_use]
pub(super) fn set_hook(hook: impl Fn() + 'static) -> HookGuard {
    HOOK.set(Some(Rc::new(hook)));
    HookGuard
}

pub(super) struct HookGuard;

impl Drop for HookGuard {
    fn drop(&mut self) {
        HOOK.set(None);
    }
}
