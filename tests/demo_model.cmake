# Where `./run test` puts the demo's model: sets `model`.
if(DEFINED ENV{FTLIB_TEST_MODELS})
  set(models "$ENV{FTLIB_TEST_MODELS}")
else()
  set(models "$ENV{HOME}/.cache/ftlib")
endif()
set(model "${models}/SmolLM2-135M-Instruct.Q4_1.gguf")
