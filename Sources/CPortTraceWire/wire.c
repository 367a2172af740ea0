#include "pt_wire.h"
