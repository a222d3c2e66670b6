import fluxloop
from typing import Any, Callable, Dict

# Reset configuration (useful in tests or scripts that re-run)
fluxloop.reset_config()

# Enable recording (typically in staging environment)
fluxloop.configure(
    record_args=True,
    recording_file="/tmp/agent_args.jsonl",
)

class MessageHandler:
    @fluxloop.agent(name="message_handler")
    async def handle_message(
        self,
        connection_id: str,
        data: Dict[str, Any],
        user_connection: Dict[str, Any],
        send_message_callback: Callable,
        send_error_callback: Callable
    ) -> None:
        # Record all arguments for later replay
        fluxloop.record_call_args(
            target="examples.message_handler:MessageHandler.handle_message",
            connection_id=connection_id,
            data=data,
            user_connection=user_connection,
            send_message_callback=send_message_callback,
            send_error_callback=send_error_callback,
        )
        
        # Your existing logic continues unchanged
        content = data.get("content")
        # ...
