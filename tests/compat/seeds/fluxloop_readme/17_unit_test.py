import fluxloop
from fluxloop.recording import enable_recording, record_call_args

def test_recording(tmp_path):
    output_file = tmp_path / "test.jsonl"
    enable_recording(str(output_file))
    
    record_call_args(
        target="test:function",
        arg1="value",
        arg2=123
    )
    
    assert output_file.exists()
