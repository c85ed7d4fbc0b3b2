# Where `./run test` puts the demo's model: sets `model`.
if(DEFINED ENV{FTLIB_TEST_MODELS})
  set(models "$ENV{FTLIB_TEST_MODELS}")
elseif(NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
  set(models "$ENV{XDG_CACHE_HOME}/ftlib")
else()
  set(models "$ENV{HOME}/.cache/ftlib")
endif()
set(model "${models}/SmolLM2-135M-Instruct.Q4_1.gguf")
