#pragma once
// The pictures that stand beside the paper's: what gnuplot is to be told to draw of an experiment's JSON. Pure.

#include <boost/json/object.hpp>
#include <string>

#include "proto/base/result.h"

namespace chordfs {

/// A script that writes an SVG to its standard output. `invalid`: this is no experiment's JSON, or there is no picture
/// of this one.
Result<std::string> picture_of(const boost::json::object& experiment);

}  // namespace chordfs
