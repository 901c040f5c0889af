// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.file.Path;
import java.util.function.Supplier;
import org.vfio4j.broker.Broker;
import org.vfio4j.linux.bind.KernelMdevs;

/**
 * What the VMs of a daemon have in common.
 *
 * @param base the folder of their folders, absolute
 * @param broker owns the functions of this machine
 * @param wanted where they are written down
 * @param lines what happens is told there
 * @param outliving what outlives this process
 * @param binder hands functions of this machine to VFIO and back
 * @param mdevs starts mediated devices of this machine
 */
record Hosting(
    Path base,
    Broker broker,
    WantedVms wanted,
    EventLines lines,
    Outliving outliving,
    Supplier<Binder> binder,
    KernelMdevs mdevs) {}
