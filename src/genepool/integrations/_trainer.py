"""``transformers.Trainer``: gated batches, registration at the end, and the monitor, as its own callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genepool.errors import MissingExtra

if TYPE_CHECKING:
    from genepool.integrations._loader import GatedLoader
    from genepool.integrations._monitor import CollapseMonitor
    from genepool.integrations._outputs import TrainingRun

__all__ = ["monitor_callback", "registration_callback", "use_loader"]


def _callback_class() -> Any:
    try:
        from transformers import TrainerCallback
    except ImportError:
        raise MissingExtra(
            "transformers is not installed", hint="pip install transformers accelerate"
        ) from None
    return TrainerCallback


def registration_callback(run: TrainingRun) -> Any:
    """A ``TrainerCallback`` that registers the model when training ends, on the first process only.

    Raises:
        MissingExtra: transformers is not installed.
    """
    base: Any = _callback_class()

    class Registration(base):  # type: ignore[misc]
        """Registers the trained model."""

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """Enter it into the log."""
            if state.is_world_process_zero:
                run.finish()

    return Registration()


def monitor_callback(monitor: CollapseMonitor) -> Any:
    """A ``TrainerCallback`` that asks a `CollapseMonitor` after every step and stops when it says so.

    Raises:
        MissingExtra: transformers is not installed.
    """
    base: Any = _callback_class()

    class Monitor(base):  # type: ignore[misc]
        """Looks at the model."""

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            """Stop on degradation."""
            if monitor.step(state.global_step):
                control.should_training_stop = True
            return control

    return Monitor()


def use_loader(trainer: Any, loader: GatedLoader) -> Any:
    """Make a ``transformers.Trainer`` train on a `GatedLoader`'s batches, and return the trainer.

    Batch size, order and share are then the loader's; ``per_device_train_batch_size`` should say the same
    number. The Trainer's own resuming (``resume_from_checkpoint``) skips to the same place in the same order.
    The loader is already divided between ranks, so that it is not prepared a second time.
    """
    trainer.get_train_dataloader = lambda: loader
    return trainer
