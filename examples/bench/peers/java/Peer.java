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
import java.util.function.Consumer;

import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.test.TestingCluster;
import org.apache.curator.test.TestingServer;
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
    private final double warmup;
    private final double seconds;
    /** From when to when what happens counts: from when every session stands. */
    private volatile long begin;
    private volatile long end;
    /** How many items a queue holds at most: producers wait. */
    private final Semaphore queued = new Semaphore(64);
    private final String mark = "/peer-" + ProcessHandle.current().pid();

    private interface Turn {
        void take() throws Exception;
    }

    /** What happened within the time, in nanoseconds each. */
    private final class Times {
        private long[] each = new long[1 << 12];
        private int count;
        private long done;

        /** Whether it goes on. What ends in time counts, and how long it took if it has begun there. */
        boolean note(long asked) {
            long now = System.nanoTime();
            done += now >= begin && now <= end ? 1 : 0;
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
        warmup = Double.parseDouble(arguments[5]);
        seconds = Double.parseDouble(arguments[6]);
    }

    private void starts() {
        begin = System.nanoTime() + (long) (warmup * 1e9);
        end = begin + (long) (seconds * 1e9);
    }

    public static void main(String[] arguments) throws Exception {
        Peer peer = new Peer(arguments);
        switch (peer.mode) {
            case "cache" -> peer.fill();
            case "contend-once" -> peer.bursts();
            case "start" -> peer.start(Peer::startServer);
            case "start-cluster" -> peer.start(Peer::startCluster);
            default -> peer.measure();
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
                    others.add(forEver(() -> {
                        queued.acquire();
                        producer.offer(data);
                    }));
                    SimpleDistributedQueue consumer = new SimpleDistributedQueue(curator(), mark);
                    counted.add(again(() -> {
                        consumer.take();
                        queued.release();
                    }));
                }
                default -> throw new IllegalArgumentException("no " + mode + " here");
            }
        }
        ExecutorService threads = Executors.newFixedThreadPool(counted.size() + others.size());
        starts();
        others.forEach(threads::submit);
        List<Future<Times>> running = new ArrayList<>();
        counted.forEach(task -> running.add(threads.submit(task)));
        TimeUnit.NANOSECONDS.sleep(begin - System.nanoTime());
        double before = cpuSeconds();
        long[] all = new long[0];
        long done = 0;
        for (Future<Times> task : running) {
            Times times = task.get();
            done += times.done;
            int count = all.length;
            all = Arrays.copyOf(all, count + times.count);
            System.arraycopy(times.each, 0, all, count, times.count);
        }
        report(all, done, (end - begin) / 1e9, cpuSeconds() - before, "");
    }

    private static void report(long[] all, long done, double seconds, double cpu, String memory) {
        Arrays.sort(all);
        System.out.printf(
                "{\"operations_per_second\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
                        + "\"cpu_us_per_operation\":%.2f%s}%n",
                done / seconds,
                all[all.length / 2] / 1e3,
                all[(int) ((all.length - 1) * .99)] / 1e3,
                cpu * 1e6 / done,
                memory);
    }

    /** All take the same lock once, and again when the last one has let it go. */
    private void bursts() throws Exception {
        List<Callable<Void>> turns = new ArrayList<>();
        for (int i = 0; i < sessions; i++) {
            InterProcessMutex mutex = new InterProcessMutex(curator(), mark);
            turns.add(() -> {
                mutex.acquire();
                mutex.release();
                return null;
            });
        }
        ExecutorService threads = Executors.newFixedThreadPool(sessions);
        starts();
        long done = 0;
        long took = 0;
        double before = Double.NaN;
        while (System.nanoTime() < end) {
            if (Double.isNaN(before) && System.nanoTime() >= begin) {
                before = cpuSeconds();
            }
            long began = System.nanoTime();
            for (Future<Void> turn : threads.invokeAll(turns)) {
                turn.get();
            }
            if (!Double.isNaN(before)) {
                took += System.nanoTime() - began;
                done += sessions;
            }
        }
        report(new long[] {took / done}, done, took / 1e9, cpuSeconds() - before, "");
    }

    private interface Started {
        AutoCloseable start(Consumer<String> connect) throws Exception;
    }

    private static AutoCloseable startServer(Consumer<String> connect) throws Exception {
        TestingServer server = new TestingServer(true);
        connect.accept(server.getConnectString());
        return server;
    }

    private static AutoCloseable startCluster(Consumer<String> connect) throws Exception {
        TestingCluster cluster = new TestingCluster(3);
        cluster.start();
        connect.accept(cluster.getConnectString());
        return cluster;
    }

    /** Starts servers again and again, each time until a first write is acknowledged. */
    private void start(Started started) throws Exception {
        starts();
        // A few at least, however short the time is.
        int warmups = 2;
        List<Long> took = new ArrayList<>();
        double resident = Double.NaN;
        double before = cpuSeconds();
        while (System.nanoTime() < end || took.size() < warmups + 3) {
            double residentBefore = residentMib();
            long asked = System.nanoTime();
            String[] connect = new String[1];
            try (AutoCloseable server = started.start(told -> connect[0] = told)) {
                ZooKeeper client = connected(connect[0]);
                client.create("/first", data, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
                took.add(System.nanoTime() - asked);
                double grown = residentMib() - residentBefore;
                resident = Double.isNaN(resident) ? grown : Math.max(resident, grown);
                client.close();
            }
        }
        double cpu = cpuSeconds() - before;
        String memory = String.format(",\"resident_mib\":%.1f", resident);
        long[] warm = took.stream().skip(warmups).mapToLong(Long::longValue).toArray();
        double spent = Arrays.stream(warm).sum() / 1e9;
        report(warm, warm.length, spent, cpu * warm.length / took.size(), memory);
    }

    private Callable<Times> requests(String path) throws Exception {
        ZooKeeper client = connected(connect);
        client.create(path, data, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        boolean sets = mode.equals("set");
        return () -> {
            Times times = new Times();
            Semaphore room = new Semaphore(depth);
            while (System.nanoTime() < end) {
                room.acquire();
                long asked = System.nanoTime();
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

    private static ZooKeeper connected(String connect) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper client = new ZooKeeper(connect, SESSION_MS, event -> {
            if (event.getState() == KeeperState.SyncConnected) {
                connected.countDown();
            }
        });
        connected.await();
        return client;
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

    /** For those that keep the others busy; whatever goes wrong must not look like having done less. */
    private static Callable<Times> forEver(Turn turn) {
        return () -> {
            try {
                while (true) {
                    turn.take();
                }
            } catch (Exception problem) {
                problem.printStackTrace();
                Runtime.getRuntime().halt(1);
                return null;
            }
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

    /** The tree that the bench has laid out. */
    private void fill() throws Exception {
        String mark = "/cache-tree";
        CuratorFramework client = curator();
        client.checkExists().forPath(mark);
        // Before the rest: it collects what getting there has left.
        double live = liveMib();
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
        long[] all = new long[nodes + 1];
        Arrays.fill(all, took);
        double grown = residentMib() - resident;
        String memory = String.format(
                ",\"resident_mib\":%.1f,\"live_mib\":%.1f", grown, liveMib() - live);
        if (cache.size() != nodes + 1) {
            throw new IllegalStateException("the cache holds " + cache.size());
        }
        report(all, all.length, took / 1e9, cpu, memory);
    }

    /** What is still wanted of the heap. */
    private static double liveMib() {
        for (int i = 0; i < 3; i++) {
            System.gc();
        }
        Runtime runtime = Runtime.getRuntime();
        return (runtime.totalMemory() - runtime.freeMemory()) / 1024.0 / 1024.0;
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
