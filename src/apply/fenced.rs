//! Consumers and targets whose effects end with the lease: what is still under way by then is broken off, for another run may have begun.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::model::id::{KeyId, VersionId};
use crate::model::secret::Secret;
use crate::world::{Consumer, ConsumerView, ErrorClass, KeyChange, Listing, Target, WorldError};

/// How much of the lease is left, by a monotonic clock.
pub type Left = Arc<dyn Fn() -> Duration + Send + Sync>;

/// One that is asked for nothing when the lease is spent, and is not waited for after it. A program is killed, a request is not sent
/// again, and what would follow it is not begun; what the other side has received by then it may still do.
pub struct Fenced<T: ?Sized> {
    inner: Arc<T>,
    left: Left,
}

impl<T: ?Sized> Fenced<T> {
    /// `inner` for as long as something is `left`.
    pub fn new(inner: Arc<T>, left: &Left) -> Self {
        Self { inner, left: Arc::clone(left) }
    }

    async fn within<R>(&self, what: &str, work: impl Future<Output = Result<R, WorldError>>) -> Result<R, WorldError> {
        let left = (self.left)();
        let late = || WorldError {
            class: ErrorClass::Transient,
            operation: what.to_owned(),
            cause: "the lease was spent before it was done".to_owned(),
        };
        if left.is_zero() {
            return Err(late());
        }
        tokio::time::timeout(left, work).await.unwrap_or_else(|_| Err(late()))
    }
}

#[async_trait]
impl Consumer for Fenced<dyn Consumer> {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        self.inner.observe().await
    }

    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        self.within("deliver a value", self.inner.deliver(version, value)).await
    }

    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        self.within("have a value taken into use", self.inner.activate(version)).await
    }

    async fn overridden(&self) -> Result<Vec<String>, WorldError> {
        self.inner.overridden().await
    }
}

#[async_trait]
impl Target for Fenced<dyn Target> {
    async fn list(&self) -> Result<Listing, WorldError> {
        self.inner.list().await
    }

    async fn install(&self, value: &Secret, version: &VersionId, over: Option<&VersionId>) -> Result<(), WorldError> {
        self.within("have a value let in", self.inner.install(value, version, over)).await
    }

    async fn reread(&self, key: &KeyId) -> Result<Secret, WorldError> {
        self.inner.reread(key).await
    }

    async fn change(&self, key: &KeyId, seen: Option<&VersionId>, change: KeyChange) -> Result<(), WorldError> {
        self.within("change what is let in", self.inner.change(key, seen, change)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    /// A consumer and target that asks once, waits, and asks again.
    struct Slow(Arc<AtomicU8>, Duration);

    impl Slow {
        async fn work(&self) -> Result<(), WorldError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(self.1).await;
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }

    #[async_trait]
    impl Consumer for Slow {
        async fn observe(&self) -> Result<ConsumerView, WorldError> {
            self.work().await.map(|()| ConsumerView::default())
        }

        async fn deliver(&self, _: &VersionId, _: &Secret) -> Result<(), WorldError> {
            self.work().await
        }

        async fn activate(&self, _: &VersionId) -> Result<(), WorldError> {
            self.work().await
        }
    }

    #[async_trait]
    impl Target for Slow {
        async fn list(&self) -> Result<Listing, WorldError> {
            self.work().await.map(|()| Listing::default())
        }

        async fn install(&self, _: &Secret, _: &VersionId, _: Option<&VersionId>) -> Result<(), WorldError> {
            self.work().await
        }

        async fn reread(&self, _: &KeyId) -> Result<Secret, WorldError> {
            self.work().await.map(|()| Secret::new(Vec::new()))
        }

        async fn change(&self, _: &KeyId, _: Option<&VersionId>, _: KeyChange) -> Result<(), WorldError> {
            self.work().await
        }
    }

    /// What each effect came to, and how many steps were taken in all, when one takes 50 ms and this much is left.
    async fn effects(left: u64) -> (Vec<Result<(), ErrorClass>>, u8) {
        let (steps, left) = (Arc::new(AtomicU8::new(0)), Duration::from_millis(left));
        let left: Left = Arc::new(move || left);
        let slow = || Slow(Arc::clone(&steps), Duration::from_millis(50));
        let consumer = Fenced::<dyn Consumer>::new(Arc::new(slow()), &left);
        let target = Fenced::<dyn Target>::new(Arc::new(slow()), &left);
        let (version, value) = (VersionId::from("v"), Secret::new(Vec::new()));
        let all = vec![
            consumer.deliver(&version, &value).await,
            consumer.activate(&version).await,
            target.install(&value, &version, None).await,
            target.change(&KeyId::from("k"), None, KeyChange::Disable).await,
        ];
        tokio::time::sleep(Duration::from_millis(100)).await;
        (all.into_iter().map(|done| done.map_err(|error| error.class)).collect(), steps.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn no_effect_begins_or_goes_on_after_the_lease() {
        assert_eq!(effects(60_000).await, (vec![Ok(()); 4], 8));
        assert_eq!(effects(10).await, (vec![Err(ErrorClass::Transient); 4], 4), "broken off between its two steps");
        assert_eq!(effects(0).await, (vec![Err(ErrorClass::Transient); 4], 0));
    }

    #[tokio::test]
    async fn a_look_is_no_effect() {
        let (steps, left): (_, Left) = (Arc::new(AtomicU8::new(0)), Arc::new(|| Duration::ZERO));
        let slow = || Slow(Arc::clone(&steps), Duration::ZERO);
        assert_eq!(Fenced::<dyn Consumer>::new(Arc::new(slow()), &left).observe().await.unwrap(), ConsumerView::default());
        assert_eq!(Fenced::<dyn Target>::new(Arc::new(slow()), &left).list().await.unwrap().keys, []);
        assert_eq!(steps.load(Ordering::SeqCst), 4);
    }
}
