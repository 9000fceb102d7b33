import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;

/** ZooKeeper's Java client (get, set) and Curator (the rest) under the load of the bench; see peers.sh. */
public final class Peer {
    private static final int SESSION_MS = 30_000;

    private final String mode;
    private final String connect;
    private final int sessions;
    private final int depth;
    private final byte[] data;
    private final int nodes;
    private final long begin;
    private final long end;
    private final String mark = "/peer-" + ProcessHandle.current().pid();

    private interface Turn {
        void take() throws Exception;
    }

    /** What happened within the time, in nanoseconds each. */
    private final class Times {
        private long[] each = new long[1 << 12];
        private int count;

        /** Whether it goes on. */
        boolean note(long asked) {
            long now = System.nanoTime();
            if (asked >= begin && now <= end) {
                if (count == each.length) {
                    each = Arrays.copyOf(each, 2 * count);
                }
                each[count++] = now - asked;
            }
            return now < end;
        }
    }

    private Peer(String[] arguments) {
        mode = arguments[0];
        connect = arguments[1];
        sessions = Integer.parseInt(arguments[2]);
        depth = Integer.parseInt(arguments[3]);
        data = new byte[Integer.parseInt(arguments[4])];
        nodes = Integer.parseInt(arguments[7]);
        begin = System.nanoTime() + (long) (Double.parseDouble(arguments[5]) * 1e9);
        end = begin + (long) (Double.parseDouble(arguments[6]) * 1e9);
    }

    public static void main(String[] arguments) throws Exception {
        Peer peer = new Peer(arguments);
        if (peer.mode.equals("cache")) {
            peer.fill();
        } else {
            peer.measure();
        }
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private void measure() throws Exception {
        List<Callable<Times>> counted = new ArrayList<>();
        List<Callable<Times>> others = new ArrayList<>();
        for (int i = 0; i < sessions; i++) {
            String own = mark + "-" + i;
            switch (mode) {
                case "get", "set" -> counted.add(requests(own));
                case "lock" -> counted.add(lock(own));
                case "contend" -> counted.add(lock(mark));
                case "counter" -> counted.add(counter());
                case "queue" -> {
                    SimpleDistributedQueue producer = new SimpleDistributedQueue(curator(), mark);
                    others.add(again(() -> producer.offer(data)));
                    SimpleDistributedQueue consumer = new SimpleDistributedQueue(curator(), mark);
                    counted.add(again(consumer::take));
                }
                default -> throw new IllegalArgumentException("no " + mode + " here");
            }
        }
        ExecutorService threads = Executors.newFixedThreadPool(counted.size() + others.size());
        others.forEach(threads::submit);
        List<Future<Times>> running = new ArrayList<>();
        counted.forEach(task -> running.add(threads.submit(task)));
        TimeUnit.NANOSECONDS.sleep(begin - System.nanoTime());
        double before = cpuSeconds();
        long[] all = new long[0];
        for (Future<Times> task : running) {
            Times times = task.get();
            int count = all.length;
            all = Arrays.copyOf(all, count + times.count);
            System.arraycopy(times.each, 0, all, count, times.count);
        }
        report(all, (end - begin) / 1e9, cpuSeconds() - before, Double.NaN);
    }

    private void report(long[] all, double seconds, double cpu, double resident) {
        Arrays.sort(all);
        String memory = Double.isNaN(resident) ? "" : String.format(",\"resident_mib\":%.1f", resident);
        System.out.printf(
                "{\"operations_per_second\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
                        + "\"cpu_us_per_operation\":%.2f%s}%n",
                all.length / seconds,
                all[all.length / 2] / 1e3,
                all[(int) ((all.length - 1) * .99)] / 1e3,
                cpu * 1e6 / all.length,
                memory);
    }

    /** So many requests under way, asked again by whoever is told of an answer. */
    private Callable<Times> requests(String path) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper client = new ZooKeeper(connect, SESSION_MS, event -> {
            if (event.getState() == KeeperState.SyncConnected) {
                connected.countDown();
            }
        });
        connected.await();
        client.create(path, data, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        boolean sets = mode.equals("set");
        return () -> {
            Times times = new Times();
            Semaphore room = new Semaphore(depth);
            while (System.nanoTime() < end) {
                room.acquire();
                long asked = System.nanoTime();
                // One thread of the client's tells of all answers.
                if (sets) {
                    client.setData(path, data, -1, (rc, p, context, stat) -> {
                        check(rc);
                        times.note(asked);
                        room.release();
                    }, null);
                } else {
                    client.getData(path, false, (rc, p, context, value, stat) -> {
                        check(rc);
                        times.note(asked);
                        room.release();
                    }, null);
                }
            }
            room.acquire(depth);
            return times;
        };
    }

    private static void check(int rc) {
        if (rc != KeeperException.Code.OK.intValue()) {
            System.err.println(KeeperException.Code.get(rc));
            Runtime.getRuntime().halt(1);
        }
    }

    private Callable<Times> again(Turn turn) {
        return () -> {
            Times times = new Times();
            long asked;
            do {
                asked = System.nanoTime();
                turn.take();
            } while (times.note(asked));
            return times;
        };
    }

    private Callable<Times> lock(String path) throws Exception {
        InterProcessMutex mutex = new InterProcessMutex(curator(), path);
        return again(() -> {
            mutex.acquire();
            mutex.release();
        });
    }

    /** It may give up; an increment is what has succeeded. */
    private Callable<Times> counter() throws Exception {
        DistributedAtomicLong counter =
                new DistributedAtomicLong(curator(), mark, new RetryNTimes(Integer.MAX_VALUE, 0));
        return again(() -> {
            if (!counter.increment().succeeded()) {
                throw new IllegalStateException("an increment was given up");
            }
        });
    }

    private CuratorFramework curator() throws Exception {
        CuratorFramework client =
                CuratorFrameworkFactory.newClient(connect, SESSION_MS, 15_000, new RetryNTimes(3, 100));
        client.start();
        client.blockUntilConnected();
        return client;
    }

    /** The tree as the bench lays it out; it is left, since Curator deletes one node after the other. */
    private void fill() throws Exception {
        CuratorFramework client = curator();
        client.create().forPath(mark);
        int made = 0;
        Semaphore room = new Semaphore(1000);
        for (int branch = 0; made < nodes; branch++) {
            for (int leaf = -1; leaf < 100 && made < nodes; leaf++, made++) {
                String path = String.format("%s/%05d", mark, branch);
                room.acquire();
                client.create()
                        .inBackground((c, event) -> {
                            check(event.getResultCode());
                            room.release();
                        })
                        .forPath(leaf < 0 ? path : String.format("%s/%03d", path, leaf), data);
            }
        }
        room.acquire(1000);
        for (int i = 0; i < 3; i++) {
            System.gc();
        }
        double resident = residentMib();
        double before = cpuSeconds();
        long asked = System.nanoTime();
        CountDownLatch filled = new CountDownLatch(1);
        CuratorCache cache = CuratorCache.build(client, mark);
        cache.listenable().addListener(
                CuratorCacheListener.builder().forInitialized(filled::countDown).build());
        cache.start();
        filled.await();
        long took = System.nanoTime() - asked;
        double cpu = cpuSeconds() - before;
        if (cache.size() != nodes + 1) {
            throw new IllegalStateException("the cache holds " + cache.size());
        }
        long[] all = new long[nodes + 1];
        Arrays.fill(all, took);
        report(all, took / 1e9, cpu, residentMib() - resident);
    }

    private static double residentMib() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", "")) / 1024.0;
            }
        }
        return Double.NaN;
    }

    private static double cpuSeconds() throws IOException {
        String stat = Files.readString(Path.of("/proc/self/stat"));
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / 100.0;
    }
}
