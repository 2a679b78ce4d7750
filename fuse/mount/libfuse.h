#pragma once
// The one place that includes libfuse, and the API version that is meant.

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
