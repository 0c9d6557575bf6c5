"""CloudFormation, loaded when it is first asked for.

Try it:  time workshop up, with stacks kept from before
Importing ministack's CloudFormation takes a second because it imports every service. The server is up in a
fifth of that, so this service, its kept stacks and our types for it wait for the first request that needs
them. Knows no type and no check: those are `resources` and `templates`.
"""

import threading

_once = threading.Lock()


def postpone() -> None:
    """Have ministack leave CloudFormation's state alone when it starts. Before it starts."""
    import ministack.app

    ministack.app._state_map.pop("cloudformation")


def load() -> None:
    """Import it, bring its stacks back, add our types; does so once, whoever asks, and blocks meanwhile."""
    import ministack.app

    from localaws.cloudformation import recovery, resources

    with _once:
        if "cloudformation" in ministack.app._state_map:
            return
        from ministack.core import persistence

        service = ministack.app._get_module("cloudformation")
        state = persistence.load_state("cloudformation")
        if state:
            service.load_persisted_state(state)
        resources.install()
        recovery.recover_stacks(service)
        # From now on its state is saved with the others'.
        ministack.app._state_map["cloudformation"] = "cloudformation"
