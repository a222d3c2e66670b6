# Pattern A: Manual instrumentation (safest)
from fluxloop import get_current_context
from fluxloop.models import ObservationData, ObservationType

async def my_tool(param: str) -> dict:
    fl_ctx = get_current_context()
    obs = None
    
    if fl_ctx and fl_ctx.is_enabled():
        obs = ObservationData(
            type=ObservationType.TOOL,
            name="my_tool",
            input={"args": {"param": param}},
        )
        fl_ctx.push_observation(obs)
    
    try:
        result = process(param)
        if obs:
            obs.output = result
        return result
    finally:
        if fl_ctx and obs:
            fl_ctx.pop_observation()

