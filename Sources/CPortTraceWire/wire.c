#include "pt_census.h"
#include "pt_conntrack.h"
#include "pt_wire.h"
